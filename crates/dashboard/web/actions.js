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

/** Has something done, after a yes. */
export async function act(question, request) {
  if (!(await confirmed(question))) return false;
  const answer = await fetch("api/act", {
    method: "POST",
    headers: { authorization: `Bearer ${own}`, "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  let said = {};
  try { said = await answer.json(); } catch { /* none */ }
  say(answer.ok ? said.done : `not done: ${said.error ?? answer.statusText}`);
  return answer.ok;
}

function confirmed(question) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { "aria-label": "sure?" }, h("h2", {}, question[0]), h("p", {}, question[1]),
      h("div", { class: "tools" },
        h("button", { onclick: () => dialog.close("yes"), autofocus: true }, "Yes"),
        h("button", { onclick: () => dialog.close("no") }, "No")));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes"); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A button for an action; none where nothing may be done. */
export function button(text, question, request, done, readOnly, kind = "") {
  if (readOnly) return null;
  return h("button", {
    class: kind, disabled: !mayAct(),
    title: mayAct() ? undefined : "open the address that `trialmill serve` printed: it has the token",
    onclick: async () => { const asked = typeof request === "function" ? request() : request; if (asked && (await act(question, asked))) done?.(); },
  }, text);
}
