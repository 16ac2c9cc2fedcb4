// @ts-check
// What may be done from a page. The token is in the address that `trialmill serve` printed, behind the #,
// so that no server ever gets it with a request for a page; it is kept for this tab.

import { h, say } from "./dom.js";

function token() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  try {
    if (given) {
      sessionStorage.setItem("trialmill-token", given);
      history.replaceState(null, "", location.pathname + location.search);
    }
    return sessionStorage.getItem("trialmill-token") ?? "";
  } catch { return given ?? ""; }
}
let own = token();
addEventListener("hashchange", () => (own = token()));

/** Whether there is a token at all; whether it is right, the server says. */
export const mayAct = () => own !== "";

/** Asks the server to do something; the request is an object, or JSON already. */
export async function send(request) {
  const answer = await fetch("api/act", {
    method: "POST",
    headers: { authorization: `Bearer ${own}`, "content-type": "application/json" },
    body: typeof request === "string" ? request : JSON.stringify(request),
  });
  let said = {};
  try { said = await answer.json(); } catch { /* none */ }
  return { ok: answer.ok, text: answer.ok ? said.done : said.error ?? answer.statusText };
}

/**
 * Has something done, after a yes. A question is its title, what that means, and what may be answered instead of
 * "Yes": words, and what each adds to the request.
 */
export async function act([title, text, answers = [["Yes", {}]]], request) {
  const chosen = await answered(title, text, answers.map(([word]) => word));
  if (chosen < 0) return false;
  try {
    const answer = await send({ ...request, ...answers[chosen][1] });
    say(answer.ok ? answer.text : `not done: ${answer.text}`, !answer.ok);
    return answer.ok;
  } catch (error) {
    say(`not done: ${error.message ?? error}`, true);
    return false;
  }
}

function answered(title, text, words) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { "aria-label": "sure?" }, h("h2", {}, title), h("p", {}, text),
      h("div", { class: "tools" },
        words.map((word, i) => h("button", { onclick: () => dialog.close(String(i)), autofocus: i === 0 }, word)),
        h("button", { onclick: () => dialog.close("no") }, "No")));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(/^\d+$/.test(dialog.returnValue) ? Number(dialog.returnValue) : -1); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A button for an action; none where nothing may be done. What it does is a request after a yes, or a function. */
export function button(text, question, request, done, readOnly, kind = "") {
  if (readOnly) return null;
  const does = question
    ? async () => { const asked = typeof request === "function" ? request() : request; if (asked && (await act(question, asked))) done?.(); }
    : request;
  return h("button", {
    class: kind, disabled: !mayAct(),
    title: mayAct() ? undefined : "open the address that `trialmill serve` printed: it has the token",
    onclick: does,
  }, text);
}
