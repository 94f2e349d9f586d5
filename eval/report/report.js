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
    const body = table.tBodies[0];
    [...body.rows]
      .map((row) => [cellValue(row, column), row])
      .sort((a, b) => compare(a[0], b[0], sign))
      .forEach(([, row]) => body.append(row));
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    for (const heading of table.tHead.rows[0].cells) {
      if (heading.dataset.fixed !== undefined) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = heading.textContent;
      heading.textContent = "";
      heading.append(button);
      button.addEventListener("click", () => sortBy(table, heading));
    }
  }

  const search = document.querySelector("#filter-text");
  const round = document.querySelector("#filter-round");
  const family = document.querySelector("#filter-family");
  const shown = document.querySelector("#filter-count");
  if (search) {
    const filter = () => {
      const wanted = search.value.trim().toLowerCase();
      let count = 0;
      for (const section of document.querySelectorAll(".candidates > details")) {
        const fits =
          (!wanted || section.dataset.text.toLowerCase().includes(wanted)) &&
          (!round.value || section.dataset.round === round.value) &&
          (!family.value || section.dataset.family === family.value);
        section.hidden = !fits;
        count += fits ? 1 : 0;
      }
      shown.textContent = `${count} shown`;
    };
    for (const control of [search, round, family]) control.addEventListener("input", filter);
    document.querySelector(".filters").hidden = false;
    filter();
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

  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const section of closed) section.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const section of closed) section.open = false;
  });
})();
