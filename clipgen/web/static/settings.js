// The fold with all settings, built from what the server offers. A setting that is left alone is not sent.

import { byId, element } from "./dom.js";

const BESIDE = new Set(["preset", "backend"]); // have their own places in the form
const inputs = new Map();

const shown = (value) => (typeof value === "boolean" ? (value ? "yes" : "no") : String(value));

function options(field) {
  const choices = field.type === "bool" ? ["true", "false"] : field.choices;
  const names = field.type === "bool" ? ["yes", "no"] : field.choices;
  const usual = field.default === null ? "default" : `default: ${shown(field.default)}`;
  return [element("option", { value: "" }, usual), ...choices.map((value, i) => element("option", { value }, shown(names[i])))];
}

function control(field, id) {
  const described = { id, name: field.name, "aria-describedby": `${id}-help`, autocomplete: "off" };
  if (field.type === "bool" || field.type === "choice") return element("select", described, ...options(field));
  const placeholder = field.default === null ? "default" : shown(field.default);
  if (field.type !== "int" && field.type !== "float") return element("input", { type: "text", placeholder, ...described });
  const made = element("input", { type: "number", placeholder, ...described });
  for (const bound of ["min", "max"]) if (field[bound] !== null && field[bound] !== undefined) made[bound] = field[bound];
  made.step = field.step ?? (field.type === "int" ? 1 : "any");
  return made;
}

function row(field) {
  const id = `setting-${field.name}`;
  const input = control(field, id);
  inputs.set(field.name, { field, input });
  const label = element("label", { for: id }, field.label);
  const help = element("p", { id: `${id}-help`, className: "help" }, field.help ?? "");
  const made = element("div", { className: `setting ${field.type}` }, label, input, help);
  made.dataset.words = `${field.label} ${field.name} ${field.help ?? ""}`.toLowerCase();
  return made;
}

/** Fill the fold; `changed` is called when a person changes a setting. */
export function build(fields, changed) {
  const groups = new Map();
  for (const field of fields) groups.set(field.group, [...(groups.get(field.group) ?? []), field]);
  const made = [...groups].map(([name, members]) => {
    const rows = members.filter((field) => !BESIDE.has(field.name)).map(row);
    return rows.length ? element("fieldset", { className: "group plain" }, element("legend", {}, name), ...rows) : "";
  });
  byId("settings-fields").replaceChildren(...made);
  byId("settings-fields").addEventListener("input", (event) => {
    event.target.removeAttribute("aria-invalid");
    count();
    changed();
  });
  byId("settings-reset").addEventListener("click", () => {
    fill({});
    changed();
  });
  byId("settings-filter").addEventListener("input", (event) => narrow(event.target.value.trim().toLowerCase()));
}

function narrow(words) {
  for (const group of byId("settings-fields").children) {
    for (const one of group.querySelectorAll(".setting")) one.hidden = !one.dataset.words.includes(words);
    group.hidden = !group.querySelector(".setting:not([hidden])");
  }
  byId("settings-none").hidden = Boolean(byId("settings-fields").querySelector(".group:not([hidden])"));
}

function count() {
  const changed = Object.keys(values()).length;
  byId("settings-changed").hidden = !changed;
  byId("settings-changed").textContent = `${changed} changed`;
}

/** The settings that were changed, by name. What is no number is sent as it is, for the server to explain. */
export function values() {
  const found = {};
  for (const [name, { field, input }] of inputs) {
    const text = input.value.trim();
    if (input.validity.badInput) found[name] = "not a number";
    else if (text === "") continue;
    else if (field.type === "bool") found[name] = text === "true";
    else found[name] = input.type === "number" ? Number(text) : text;
  }
  return found;
}

/** Show these settings, and the defaults for all others. */
export function fill(settings) {
  for (const [name, { input }] of inputs) {
    const value = settings[name];
    input.value = value === undefined || value === null ? "" : String(value);
    input.removeAttribute("aria-invalid");
  }
  count();
}

/** Lead to the setting that an error line begins with, or names by its flag. */
export function lead(error) {
  const name = (error.match(/--([a-z][a-z0-9-]*)/) ?? error.match(/^([a-z][a-z0-9_]*)/))?.[1].replaceAll("-", "_");
  const input = inputs.get(name)?.input;
  if (!input) return;
  byId("settings").open = true;
  byId("settings-filter").value = "";
  narrow("");
  input.setAttribute("aria-invalid", "true");
  input.focus();
}
