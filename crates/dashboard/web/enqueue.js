// @ts-check
// A configuration of one's own, written over that of a trial, and evaluated next.

import { send } from "./actions.js";
import { json } from "./data.js";
import { h, say } from "./dom.js";

/** Opens the form; `id` is the trial whose values stand in it first (without one, the best). */
export async function enqueue(key, id, done) {
  let form;
  try {
    form = await json("form", id === undefined ? { s: key } : { s: key, id });
  } catch (error) {
    return say(`not done: ${error.message ?? error}`, true);
  }
  const wrong = h("p", { class: "problem", role: "alert", hidden: true });
  const problem = (text) => { wrong.hidden = !text; wrong.textContent = text; };
  const fields = form.fields?.map((field, i) => {
    const hint = h("span", { class: "small quiet", id: `f${i}` }, field.domain.length > 90 ? `${field.domain.slice(0, 89)}…` : field.domain, field.optional ? ", or left empty" : "");
    const about = { "aria-describedby": `f${i}` };
    const input = field.choices
      ? h("select", about, field.optional ? h("option", { value: "" }, "") : null, field.choices.map(([text, raw]) => h("option", { value: raw, selected: field.value?.[1] === raw }, text.slice(0, 200))))
      : h("input", { ...about, value: field.value?.[0] ?? "", autocomplete: "off", spellcheck: "false" });
    return { field, input, row: h("label", {}, h("span", {}, field.name), input, hint) };
  });
  const area = fields ? null : h("textarea", { rows: 14, "aria-label": "the configuration as JSON", spellcheck: "false" }, form.text);
  // JSON as text: what the server gave goes back with all its digits, and no name of a parameter is special.
  const config = () => {
    if (area) { JSON.parse(area.value); return area.value; }
    const given = fields.filter(({ input }) => input.value.trim() !== "");
    return `{${given.map(({ field, input }) => `${JSON.stringify(field.name)}:${field.choices ? input.value : JSON.stringify(input.value)}`).join(",")}}`;
  };
  const add = h("button", { type: "submit" }, "Enqueue");
  const dialog = h("dialog", { class: "form", "aria-label": "enqueue a configuration" },
    h("form", { method: "dialog", onsubmit: async (event) => {
      event.preventDefault();
      add.disabled = true;
      try {
        const answer = await send(`{"s":${JSON.stringify(key)},"action":"enqueue","config":${config()}}`);
        if (answer.ok) { dialog.close(); say(answer.text); done?.(); } else problem(answer.text);
      } catch (error) {
        problem(String(error.message ?? error));
      }
      add.disabled = false;
    } },
    h("h2", {}, "Evaluate this next"),
    h("p", { class: "small quiet" }, form.from === null ? "It is handed out before what the optimizer proposes." : `It begins as trial ${form.from}, and is handed out before what the optimizer proposes.`, " It counts as an evaluation."),
    wrong, h("div", { class: "fields" }, area ?? fields.map(({ row }) => row)),
    h("div", { class: "tools" }, add, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"))));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  if (!form.known) { problem("This directory does not say what the search space is: NePS keeps it in its program. Nothing can be enqueued from here."); add.disabled = true; }
  dialog.showModal();
}
