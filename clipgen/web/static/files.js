// The files of a picture: itself, its films, its drawing.

import { element } from "./dom.js";

/** The file of a kind that a job or an item of the gallery has, if it has one. */
export const fileOf = (owner, kind) => owner.files.find((file) => file.kind === kind);

/** The file of the picture itself, which comes first, if there is one. */
export const pictureOf = (owner) => owner.files.find((file) => ["png", "jpg", "webp"].includes(file.kind));

/** The picture of an item, at an address that changes when the file does, as that of the thumbnail. */
export function picture(item) {
  const file = pictureOf(item);
  return file ? file.url + new URL(item.thumb, location.href).search : item.thumb;
}

/** A link that saves a file. */
export function download({ kind, name, url }) {
  const properties = { className: "button", href: `${url}?download=1`, download: name };
  return element("a", { ...properties, "aria-label": `Download ${kind.toUpperCase()}` }, `↓ ${kind.toUpperCase()}`);
}
