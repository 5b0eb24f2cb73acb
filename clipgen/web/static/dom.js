// Small helpers for the document. Data becomes text nodes and properties only, never markup.

export const byId = (id) => document.getElementById(id);

/** Make an element; names that are no properties of it become attributes. Strings among the children are text. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export const button = (text, onclick, properties = {}) =>
  element("button", { type: "button", onclick, ...properties }, text);

/** Tell a screen reader once, without moving the focus. */
export function announce(text) {
  byId("announce").textContent = text;
}

/** A prompt in one short line, for names and announcements. */
export const shortened = (text, length = 80) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

export function openDialog(dialog) {
  if (!dialog.open) dialog.showModal();
}

/** Its button closes a dialog, as Escape does, and so does a click beside it unless work would be lost. */
export function closable(dialog, { holdsWork = false } = {}) {
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("pointerdown", (event) => {
    if (event.target === dialog && !holdsWork) dialog.close();
  });
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export function reveal(shown) {
  shown.scrollIntoView({ behavior: calm() ? "auto" : "smooth", block: "start" });
}
