// Requests to the server that this page comes from, and their errors in one line.

export class ApiError extends Error {}

async function answered(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new ApiError("clipgen does not answer. Is “clipgen web” still running?");
  }
  const body = await response.json().catch(() => null);
  if (response.ok) return body;
  throw new ApiError(body?.error ?? `The server answered ${response.status} ${response.statusText}.`);
}

export const get = (path) => answered(path);

export const forget = (path) => answered(path, { method: "DELETE" });

export function post(path, data) {
  const body = data && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(data) };
  return answered(path, { method: "POST", ...body });
}

let largest = Infinity;

/** Have files of more bytes than the server takes refused before they are sent. */
export function limitUploads(bytes) {
  largest = bytes;
}

/** Send a file's bytes to `path`, by default as a picture to work from. */
export function send(file, path = "/api/uploads") {
  if (file.size > largest) {
    const sizes = [file.size, largest].map((bytes) => `${Math.ceil(bytes / 2 ** 20)} MB`);
    return Promise.reject(new ApiError(`${file.name || "The file"} has ${sizes[0]}; at most ${sizes[1]} are taken.`));
  }
  const headers = { "Content-Type": "application/octet-stream", "X-Filename": encodeURIComponent(file.name || "") };
  return answered(path, { method: "POST", headers, body: file });
}

/** Run an action whose refusal is shown in `alert`; undefined then. */
export async function attempt(alert, action) {
  alert.textContent = "";
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    alert.textContent = error.message;
    return undefined;
  }
}
