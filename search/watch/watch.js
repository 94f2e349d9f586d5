"use strict";
(() => {
  const connection = document.getElementById("connection");
  const source = new EventSource("events");
  const say = (words) => (connection.textContent = words);

  source.addEventListener("open", () => say("live"));
  source.addEventListener("error", () => say("the connection is lost; trying again …"));
  source.addEventListener("parts", (event) => {
    for (const [name, html] of Object.entries(JSON.parse(event.data))) {
      const place = document.querySelector(`[data-place="${name}"]`);
      if (!place) continue;
      // What a reader has opened stays open.
      const open = new Set([...place.querySelectorAll("details[open][data-key]")].map((one) => one.dataset.key));
      place.innerHTML = html;
      for (const one of place.querySelectorAll("details[data-key]")) if (open.has(one.dataset.key)) one.open = true;
    }
    say(`live, last change ${new Date().toLocaleTimeString()}`);
  });

  // Buttons are there with --control alone.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-do]");
    if (!button || (button.dataset.ask && !window.confirm(button.dataset.ask))) return;
    button.disabled = true;
    const headers = { "X-Reward-Search-Token": location.pathname.split("/")[1] };
    const answer = await fetch(button.dataset.do, { method: "POST", headers });
    say(answer.ok ? button.dataset.said : await answer.text());
    button.disabled = answer.ok;
  });
})();
