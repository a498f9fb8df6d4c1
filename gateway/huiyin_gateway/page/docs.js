// The page of the API: draws the OpenAPI document, and sends requests with the key that is typed in. The key stays in the
// field: it is stored nowhere, and travels in the Authorization header only.
"use strict";

let whole;

/** An element with attributes and children; texts are texts, never markup. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** What a reference of the document leads to. */
function resolved(value) {
  if (!value || !value.$ref) return value || {};
  return value.$ref.slice(2).split("/").reduce((at, part) => at[part], whole);
}

/** A few words for the type of a schema. */
function kindOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(kindOf).filter((kind) => kind !== "null").join(" or ");
  if (schema.type === "array") return `list of ${kindOf(schema.items)}`;
  const kinds = [].concat(schema.type || "anything").filter((kind) => kind !== "null");
  const limits = ["maxLength", "maxItems", "minimum", "maximum", "format"].filter((name) => name in schema);
  return kinds.join(" or ") + (limits.length ? ` (${limits.map((name) => `${name} ${schema[name]}`).join(", ")})` : "");
}

/** The schemas that a schema speaks of. */
function mentioned(schema) {
  if (schema.$ref) return [schema];
  return [...(schema.anyOf || []), ...(schema.items ? [schema.items] : [])].flatMap(mentioned);
}

/** The fields of a schema as a table; what they consist of unfolds. */
function tableOf(reference, seen = []) {
  const schema = resolved(reference);
  const rows = Object.entries(schema.properties || {}).map(([name, field]) => {
    const needed = (schema.required || []).includes(name);
    const inner = mentioned(field)
      .filter((each) => !seen.includes(each.$ref))
      .map((each) => unfolding(each, [...seen, each.$ref]));
    return make("tr", {},
      make("td", {}, name, needed ? make("span", { class: "need", title: "required" }, " *") : ""),
      make("td", {}, kindOf(field)),
      make("td", {}, field.description || "", ...inner));
  });
  const text = make("p", {}, schema.description || "");
  text.style.whiteSpace = "pre-line";
  return make("div", {}, text, rows.length ? make("table", {}, ...rows) : null);
}

/** A fold that draws a schema when it is opened. */
function unfolding(reference, seen) {
  const body = make("div");
  return make("details", {
    ontoggle: () => { if (!body.firstChild) body.append(tableOf(reference, seen)); },
  }, make("summary", {}, kindOf(reference)), body);
}

/** A form that sends the request, and shows what comes. */
function trial(verb, path, operation, parameters) {
  const inputs = parameters.map((parameter) => [parameter, make("input", { "aria-label": parameter.name })]);
  const json = (operation.requestBody || { content: {} }).content["application/json"];
  const body = json ? make("textarea", { "aria-label": "body", spellcheck: "false" }) : null;
  if (body) body.value = JSON.stringify(json.example, null, 2);
  const shown = make("pre", { hidden: "" });
  const send = async (event) => {
    event.preventDefault();
    let target = path;
    const query = new URLSearchParams();
    const headers = {};
    const key = document.getElementById("key").value.trim();
    if (key) headers.Authorization = `Bearer ${key}`;
    for (const [parameter, input] of inputs) {
      if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (input.value && parameter.in === "query") query.append(parameter.name, input.value);
      else if (input.value) headers[parameter.name] = input.value;
    }
    if (body) headers["Content-Type"] = "application/json";
    if (query.size) target += `?${query}`;
    shown.hidden = false;
    shown.textContent = "…";
    try {
      const answer = await fetch(target, { method: verb.toUpperCase(), headers, body: body ? body.value : undefined });
      const text = await answer.text();
      let told = text;
      try { told = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it is */ }
      shown.textContent = `${answer.status} ${answer.statusText}\n\n${told}`;
    } catch (error) {
      shown.textContent = String(error);
    }
  };
  const rows = inputs.map(([parameter, input]) => make("tr", {}, make("td", {}, parameter.name), make("td", {}, input)));
  return make("form", { onsubmit: send }, make("table", {}, ...rows), body, make("button", {}, "Send"), shown);
}

/** Everything of an operation, drawn when it is opened. */
function drawn(verb, path, operation) {
  const parameters = operation.parameters.map(resolved);
  const json = (operation.requestBody || { content: {} }).content["application/json"];
  const rows = parameters.map((parameter) => make("tr", {},
    make("td", {}, parameter.name, parameter.required ? make("span", { class: "need" }, " *") : ""),
    make("td", {}, `${parameter.in}: ${kindOf(parameter.schema)}`),
    make("td", {}, parameter.description || "")));
  const answers = Object.entries(operation.responses).map(([status, response]) => {
    const answer = resolved(response);
    const content = Object.entries(answer.content || {}).map(([type, { schema, example }]) => make("div", {}, type,
      schema ? unfolding(schema, [schema.$ref]) : null,
      example ? make("pre", {}, JSON.stringify(example, null, 2)) : null));
    const reasons = operation["x-reasons"][status];
    return make("details", {}, make("summary", {}, make("span", { class: "verb" }, status), answer.description),
      make("div", {}, reasons ? make("p", {}, reasons.join(", ")) : null, ...content));
  });
  const parts = operation["x-reasons-of-parts"];
  const streams = "text/event-stream" in (operation.responses["200"].content || {});
  const uploads = operation.requestBody && !json;
  return make("div", {}, make("p", {}, operation.description),
    rows.length ? make("h3", {}, "Parameters") : null, rows.length ? make("table", {}, ...rows) : null,
    json ? make("h3", {}, "Body") : null, json ? tableOf(json.schema) : null,
    make("h3", {}, "Answers"), ...answers,
    parts ? make("p", {}, `Of a part: ${parts.join(", ")}`) : null,
    streams || uploads ? null : make("h3", {}, "Try"), streams || uploads ? null : trial(verb, path, operation, parameters));
}

function folded(verb, path, operation) {
  const body = make("div");
  const words = `${verb} ${path} ${operation.operationId} ${operation.description}`.toLowerCase();
  return make("details", {
    id: operation.operationId,
    "data-words": words,
    ontoggle: () => { if (!body.firstChild) body.append(drawn(verb, path, operation)); },
  }, make("summary", {}, make("span", { class: "verb" }, verb), make("span", { class: "path" }, path),
    make("span", { class: "what" }, operation.summary)), body);
}

function draw() {
  const main = document.getElementById("operations");
  main.replaceChildren();
  for (const tag of whole.tags) {
    const folds = Object.entries(whole.paths).flatMap(([path, operations]) => Object.entries(operations)
      .filter(([, operation]) => operation.tags.includes(tag.name))
      .map(([verb, operation]) => folded(verb, path, operation)));
    main.append(make("section", {}, make("h2", {}, tag.name), make("p", {}, tag.description), ...folds));
  }
  document.getElementById("about").append(` Version ${whole.info.version}.`);
}

function filter() {
  const words = document.getElementById("find").value.toLowerCase().split(/\s+/);
  for (const fold of document.querySelectorAll("main section > details")) {
    fold.hidden = !words.every((word) => fold.dataset.words.includes(word));
  }
}

async function begin() {
  document.getElementById("tools").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("find").addEventListener("input", filter);
  whole = await (await fetch("/v1/openapi.json")).json();
  draw();
  const opened = document.getElementById(location.hash.slice(1));
  if (opened) { opened.open = true; opened.scrollIntoView(); }
}

begin();
