"use strict";
(() => {
  const cellValue = (row, column) => {
    const cell = row.cells[column];
    const given = cell.dataset.value;
    return given === undefined ? cell.textContent.trim() : given;
  };

  // Missing values stay at the end in either direction.
  const compare = (a, b, sign) => {
    if (a === "" || b === "") return a === b ? 0 : a === "" ? 1 : -1;
    const x = Number(a), y = Number(b);
    const order = Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, undefined, { numeric: true }) : x - y;
    return sign * order;
  };

  const sortBy = (table, heading) => {
    const column = heading.cellIndex;
    const first = heading.dataset.first || "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const direction = heading.getAttribute("aria-sort") === first ? other : first;
    for (const th of table.tHead.rows[0].cells) th.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    // Each body by itself: what is listed apart is never mixed with the others.
    for (const body of table.tBodies) {
      [...body.rows]
        .map((row) => [cellValue(row, column), row])
        .sort((a, b) => compare(a[0], b[0], sign))
        .forEach(([, row]) => body.append(row));
    }
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    for (const heading of table.tHead.rows[0].cells) {
      if (heading.dataset.fixed !== undefined) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...[...heading.childNodes].filter((node) => node.nodeName !== "SUP"));
      heading.prepend(button);
      button.addEventListener("click", () => sortBy(table, heading));
    }
  }

  for (const table of document.querySelectorAll("table[data-filter]")) {
    const bar = document.createElement("div");
    const field = document.createElement("input");
    const count = document.createElement("span");
    bar.className = "filters";
    field.type = "search";
    field.placeholder = table.dataset.filter;
    field.setAttribute("aria-label", table.dataset.filter);
    count.className = "soft";
    count.setAttribute("aria-live", "polite");
    bar.append(field, count);
    table.parentElement.before(bar);
    const rows = [...table.tBodies].flatMap((body) => [...body.rows]);
    field.addEventListener("input", () => {
      const words = field.value.trim().toLowerCase().split(/\s+/);
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += row.hidden ? 0 : 1;
      }
      count.textContent = shown === rows.length ? "" : `${shown} of ${rows.length}`;
    });
  }

  const field = (name) => document.getElementById(`filter-${name}`);
  const sections = [...document.querySelectorAll(".candidates > details")];
  if (field("text")) {
    const rowOf = new Map([...document.querySelectorAll("tr[data-for]")].map((row) => [row.dataset.for, row]));
    const controls = ["text", "round", "family", "status", "flagged", "member"].map(field).filter(Boolean);
    const filter = () => {
      const wanted = field("text").value.trim().toLowerCase();
      let count = 0;
      for (const section of sections) {
        const data = section.dataset;
        const fits =
          (!wanted || data.text.toLowerCase().includes(wanted)) &&
          ["round", "family", "status"].every((name) => !field(name)?.value || data[name] === field(name).value) &&
          ["flagged", "member"].every((name) => !field(name).checked || data[name] !== undefined);
        section.hidden = !fits;
        const row = rowOf.get(section.id);
        if (row) row.hidden = !fits;
        count += fits ? 1 : 0;
      }
      field("count").textContent = count === sections.length ? "" : `${count} of ${sections.length}`;
    };
    for (const control of controls) control.addEventListener("input", filter);
    document.querySelector(".filters[hidden]").hidden = false;
    filter();
  }

  for (const button of document.querySelectorAll("button.lengthen")) {
    const table = button.previousElementSibling.querySelector("table");
    const label = button.textContent;
    table.classList.add("short");
    button.hidden = false;
    button.addEventListener("click", () => {
      button.textContent = table.classList.toggle("short") ? label : "Show fewer";
    });
  }

  // The table already lists the candidates: their sections appear when they are opened.
  const list = document.getElementById("scored");
  const toggle = document.getElementById("list-all");
  if (list) {
    const hint = document.getElementById("nothing-open");
    const update = () => {
      hint.hidden = !list.classList.contains("collapsed") || list.querySelector(":scope > details[open]") !== null;
    };
    list.classList.add("collapsed");
    list.addEventListener("toggle", update, true);
    toggle.hidden = false;
    toggle.addEventListener("click", () => {
      toggle.textContent = list.classList.toggle("collapsed") ? "List all" : "List opened";
      update();
    });
    update();
  }

  // Browsers refuse the clipboard interface to some pages opened from a file; the older way still works there.
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      area.style.cssText = "position:fixed;opacity:0";
      document.body.append(area);
      area.select();
      const copied = document.execCommand("copy");
      area.remove();
      if (!copied) throw new Error("the browser refused");
    }
  };

  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    const label = button.textContent;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      const text = source.matches("pre") ? source.textContent : [...source.children].map((p) => p.textContent).join("\n\n");
      try {
        await copy(text);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(source);
        button.textContent = "Selected";
      }
      setTimeout(() => (button.textContent = label), 1600);
    });
  }

  const reveal = () => {
    const target = location.hash ? document.getElementById(location.hash.slice(1)) : null;
    if (target instanceof HTMLDetailsElement) {
      target.hidden = false;
      target.open = true;
      target.scrollIntoView();
    }
  };
  window.addEventListener("hashchange", reveal);
  reveal();

  const entries = new Map([...document.querySelectorAll("nav.contents a")].map((a) => [a.hash.slice(1), a]));
  const watcher = new IntersectionObserver(
    () => {
      const above = [...entries.keys()].filter((id) => document.getElementById(id).getBoundingClientRect().top < 160);
      for (const [id, a] of entries) a.classList.toggle("here", id === above.at(-1));
    },
    { rootMargin: "0px 0px -60% 0px", threshold: [0, 1] },
  );
  for (const id of entries.keys()) watcher.observe(document.getElementById(id));
})();
