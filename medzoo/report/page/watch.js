// The strip above the page of a study that is watched, and the page renewed.
// The block keeps its names apart from those of the page.

{
  const strip = document.getElementById("strip");
  const inStrip = (name) => document.getElementById(`strip-${name}`);
  const LOOK = 2000;

  function addText(parent, tag, text) {
    const added = document.createElement(tag);
    added.textContent = text;
    parent.append(added);
    return added;
  }

  function showRunning(run) {
    const item = addText(inStrip("running"), "li", "");
    const bar = addText(item, "progress", "");
    bar.setAttribute("aria-label", run.name);
    // Without a value it is shown as one that nothing is known of.
    if (run.share !== null) bar.value = run.share;
    addText(item, "span", ` ${run.name}: ${run.words} `);
    addText(item, "span", `(${run.where})`).className = "quiet";
  }

  function showState(state) {
    inStrip("trouble").textContent = state.trouble;
    inStrip("trouble").hidden = !state.trouble;
    inStrip("lines").replaceChildren();
    for (const line of state.lines) addText(inStrip("lines"), "p", line);
    inStrip("running").replaceChildren();
    state.running.forEach(showRunning);
    inStrip("memory").textContent = state.memory;
    inStrip("leaders").textContent = state.leaders.join("\n");
    inStrip("leaders").hidden = !state.leaders.length;
  }

  // Whoever types, chooses or marks a text is not interrupted.
  function isBusy() {
    const active = document.activeElement;
    const types = active && active.matches("input, select");
    return types || String(getSelection()) !== "";
  }

  let before = "";
  async function look() {
    try {
      const answer = await fetch("state.json", { cache: "no-store" });
      const text = await answer.text();
      const state = JSON.parse(text);
      if (text !== before) showState(state);
      before = text;
      // Where one was on the page is in its address, and kept by the browser.
      if (String(state.version) !== strip.dataset.version && !isBusy())
        location.reload();
    } catch {
      before = "";
      inStrip("trouble").textContent =
        "There is no answer: medzoo study watch has ended.";
      inStrip("trouble").hidden = false;
    }
    setTimeout(look, LOOK);
  }
  look();
}
