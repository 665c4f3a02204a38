"use strict";
const get = (id) => document.getElementById(id);

// Figures: click or Enter enlarges a copy.
const zoom = get("zoom");
function enlarge(plot) {
  const copy = plot.querySelector("svg").cloneNode(true);
  zoom.querySelector("div").replaceChildren(copy);
  zoom.showModal();
}
for (const plot of document.querySelectorAll(".plot")) {
  plot.addEventListener("click", () => enlarge(plot));
  plot.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); enlarge(plot); }
  });
}
zoom.addEventListener("click", (event) => { if (event.target === zoom || event.target.id === "close") zoom.close(); });

// Samples: text is only ever set as text, never as markup.
if (get("data")) {
  const data = JSON.parse(get("data").textContent);
  const names = {{ arm_names | tojson }};
  const element = (tag, kind, text) => {
    const made = document.createElement(tag);
    if (kind) made.className = kind;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const passing = (answers) => answers.reduce((sum, [, passed, count]) => sum + (passed ? count : 0), 0);
  const drawn = (answers) => answers.reduce((sum, [, , count]) => sum + count, 0);

  function listPrompts() {
    const { prompts, arms, of, seed } = data[get("pick-domain").value];
    const told = arms.filter((arm) => {{ [results.control, results.primary] | tojson }}.includes(arm));
    get("pick-prompt").replaceChildren(...prompts.map((prompt, index) => {
      const counts = told.map((arm) => `${names[arm]} ${passing(prompt.answers[arm])}`).join(", ");
      const option = element("option", "", `${prompt.id} (${counts} passing)`);
      option.value = index;
      return option;
    }));
    get("samples-note").textContent = `All answers of each arm at T = {{ temperature }}, training seed ${seed}; equal answers `
      + `are shown once with their count, passing ones first. ` + (of > prompts.length
        ? `${prompts.length} of ${of} prompts, chosen by a hash of their id.` : `All ${of} prompts.`);
    show();
  }

  function show() {
    const domain = get("pick-domain").value;
    const { prompts, arms } = data[domain];
    const prompt = prompts[Number(get("pick-prompt").value)];
    const box = get("prompt");
    box.className = domain === "code" ? "code" : "";
    box.replaceChildren(element("div", "text", prompt.prompt),
      element("div", "references", `Reference: ${prompt.references.join(" · ")}`));
    get("answers").className = `answers ${domain === "code" ? "code" : ""}`;
    get("answers").replaceChildren(...arms.map((arm) => {
      const answers = prompt.answers[arm];
      const column = element("div", "arm");
      const title = element("h3", "", names[arm]);
      title.append(element("small", "", `${passing(answers)} of ${drawn(answers)} pass`));
      column.append(title, ...answers.map(([text, passed, count]) => {
        const answer = element("div", passed ? "answer passed" : "answer");
        answer.append(element("span", "mark", (passed ? "passes" : "fails") + (count > 1 ? ` ×${count}` : "")),
          element("div", "text", text || "(empty)"));
        return answer;
      }));
      return column;
    }));
  }

  function step(by) {
    const pick = get("pick-prompt");
    pick.selectedIndex = (pick.selectedIndex + by + pick.options.length) % pick.options.length;
    show();
  }
  get("pick-domain").addEventListener("change", listPrompts);
  get("pick-prompt").addEventListener("change", show);
  get("previous").addEventListener("click", () => step(-1));
  get("next").addEventListener("click", () => step(1));
  listPrompts();
}
