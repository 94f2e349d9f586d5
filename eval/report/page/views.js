// Views over the page's packed parts. Everything in them is strangers' text: it enters the page as text alone.
(() => {
  const PAGE = 25;

  const el = (tag, words, kind) => {
    const made = document.createElement(tag);
    if (words !== undefined && words !== null) made.textContent = words;
    if (kind) made.className = kind;
    if (tag === "pre") made.tabIndex = 0; // it may scroll
    return made;
  };
  const figure = (value) => (value === null || value === undefined ? "—" : String(Math.round(value * 1000) / 1000).replace("-", "−"));

  const unpack = async (name) => {
    const packed = atob(document.querySelector(`[data-part="${name}"]`).dataset.packed);
    const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  };

  const field = (label, kind = "search") => {
    const made = el("input");
    made.type = kind;
    made.placeholder = label;
    made.setAttribute("aria-label", label);
    return made;
  };
  const choice = (label, options) => {
    const made = el("select");
    made.setAttribute("aria-label", label);
    options.forEach(([value, words]) => {
      const option = el("option", words);
      option.value = value;
      made.append(option);
    });
    return made;
  };

  // A list of which a page is shown at a time, with how many there are.
  const listed = (view, items, row, nouns) => {
    view.replaceChildren();
    const count = el("p", `${items.length.toLocaleString("en")} ${nouns}`, "small soft");
    count.setAttribute("role", "status");
    view.append(count);
    const list = el("div", null, "found");
    const more = el("button", "Show more", "plain-button");
    more.type = "button";
    let shown = 0;
    const show = () => {
      const focus = shown > 0;
      const added = items.slice(shown, shown + PAGE).map(row);
      list.append(...added);
      shown += added.length;
      more.hidden = shown >= items.length;
      if (focus && added.length) added[0].querySelector("summary")?.focus();
    };
    more.addEventListener("click", show);
    view.append(list, more);
    show();
  };

  // A row that is filled when it is opened.
  const foldable = (head, fill) => {
    const made = el("details");
    const summary = el("summary");
    summary.append(...head);
    made.append(summary);
    made.addEventListener("toggle", () => {
      if (made.open && made.childElementCount === 1) made.append(fill());
    });
    return made;
  };

  const has = (words, ...texts) => {
    const all = texts.join("\n").toLowerCase();
    return words.toLowerCase().split(/\s+/).every((word) => all.includes(word));
  };

  // Longest common subsequence of lines: pairs of numbers, null where a line has no partner.
  const aligned = (first, second) => {
    const n = first.length, m = second.length;
    if (n * m > 1e6) return Array.from({ length: Math.max(n, m) }, (_, k) => [k < n ? k : null, k < m ? k : null]);
    const best = Array.from({ length: n + 1 }, () => new Uint32Array(m + 1));
    for (let i = n - 1; i >= 0; i--)
      for (let j = m - 1; j >= 0; j--)
        best[i][j] = first[i] === second[j] ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
    const pairs = [];
    let i = 0, j = 0;
    while (i < n || j < m) {
      if (i < n && j < m && first[i] === second[j]) pairs.push([i++, j++]);
      else if (j < m && (i === n || best[i][j + 1] > best[i + 1][j])) pairs.push([null, j++]);
      else pairs.push([i++, null]);
    }
    return pairs;
  };

  const twoSources = (a, b) => {
    const first = a.split("\n"), second = b.split("\n");
    const two = el("div", null, "two");
    const left = el("pre", null, "diff"), right = el("pre", null, "diff");
    for (const [i, j] of aligned(first, second)) {
      const same = i !== null && j !== null && first[i] === second[j];
      left.append(el("span", `${i === null ? "" : first[i]}\n`, same ? "same" : i === null ? "gap" : "removed"));
      right.append(el("span", `${j === null ? "" : second[j]}\n`, same ? "same" : j === null ? "gap" : "added"));
    }
    two.append(left, right);
    return two;
  };

  const answerBox = (policy, k) => {
    const box = el("div");
    const right = policy.right[k] === "1";
    const read = policy.read[k];
    box.append(el("p", `${policy.name}: ${right ? "right" : "wrong"}, ${read === null ? "no readable answer" : `answered ${read}`}, ${policy.tokens[k]} tokens`, `small ${right ? "" : "soft"}`));
    const words = policy.completions[k];
    box.append(words === undefined ? el("p", "Its completion is not kept in this page.", "small soft") : el("pre", words, "wrapped"));
    return box;
  };

  const questionHead = (asked, k, note) => {
    const question = asked.questions[k];
    const words = question.prompt || question.id;
    return [el("span", words.length > 110 ? `${words.slice(0, 110)} …` : words), el("span", note, "figures small soft")];
  };
  const questionText = (asked, k) => {
    const question = asked.questions[k];
    const box = el("div");
    box.append(el("p", question.prompt || "The text of this question is not kept in this page.", "small"));
    const base = question.base ? ` Base mass: ${question.base[0]} of ${question.base[1]} samples of the untrained policy are right.` : "";
    box.append(el("p", `${question.id}.${question.answer ? ` Gold answer ${question.answer}.` : ""}${base}`, "small soft"));
    return box;
  };

  const splitName = (asked) => `${asked.stage === "finals" ? "finalists" : "candidates"}, on ${asked.split}`;

  const questions = async (bar, view) => {
    const all = await unpack("asked");
    const where = choice("Which policies", all.map((asked, k) => [k, splitName(asked)]));
    const words = field("Words of the question or its id");
    const outcome = [["", "any"], ["1", "right"], ["0", "wrong"]];
    const sides = [0, 1].map((k) => [choice(`Policy ${k + 1}`, []), choice(`Outcome of policy ${k + 1}`, outcome)]);
    const order = choice("Order", [["divided", "most divided first"], ["hard", "fewest right first"], ["easy", "most right first"], ["asked", "as asked"]]);
    const fillPolicies = () => {
      sides.forEach(([who], side) => {
        const options = all[where.value].policies.map((policy, k) => [k, policy.name]);
        who.replaceChildren(...choice("", options).children);
        who.selectedIndex = Math.min(side, options.length - 1);
      });
    };
    const show = () => {
      const asked = all[where.value];
      const count = asked.questions.map((_, k) => asked.policies.filter((policy) => policy.right[k] === "1").length);
      const fits = asked.questions
        .map((_, k) => k)
        .filter((k) => sides.every(([who, wanted]) => !wanted.value || asked.policies[who.value].right[k] === wanted.value))
        .filter((k) => has(words.value, asked.questions[k].prompt, asked.questions[k].id));
      const half = asked.policies.length / 2;
      const keys = { divided: (k) => Math.abs(count[k] - half), hard: (k) => count[k], easy: (k) => -count[k], asked: (k) => k };
      fits.sort((a, b) => keys[order.value](a) - keys[order.value](b) || a - b);
      listed(view, fits, (k) =>
        foldable(questionHead(asked, k, `${count[k]} of ${asked.policies.length} right`), () => {
          const inside = el("div", null, "inside");
          inside.append(questionText(asked, k), ...asked.policies.map((policy) => answerBox(policy, k)));
          return inside;
        }), "questions");
    };
    where.addEventListener("input", fillPolicies);
    fillPolicies();
    bar.append(where, words, ...sides.flat(), order);
    bar.addEventListener("input", show);
    show();
  };

  const rollouts = async (bar, view) => {
    const all = await unpack("rollouts");
    const words = field("Words of prompt or completion");
    const who = choice("Run", [["", "every run"], ...all.policies.map((name, k) => [k, name])]);
    const members = [...new Set(all.rows.flatMap((row) => Object.keys(row.scores)))];
    const paid = choice("Paid by", [["", "paid by any"], ...members.map((name, k) => [k, `paid by ${name}`])]);
    const order = choice("Order", [["late", "latest first"], ["early", "earliest first"], ["high", "highest total first"], ["low", "lowest total first"]]);
    const show = () => {
      const fits = all.rows.filter(
        (row) =>
          (who.value === "" || row.policy === Number(who.value)) &&
          (paid.value === "" || row.scores[members[paid.value]] > 0) &&
          has(words.value, row.completion, all.prompts[row.prompt]));
      const keys = { late: (row) => -row.step, early: (row) => row.step, high: (row) => -(row.total ?? -Infinity), low: (row) => row.total ?? Infinity };
      fits.sort((a, b) => keys[order.value](a) - keys[order.value](b) || 0);
      listed(view, fits, (row) => {
        const head = [el("span", `${all.policies[row.policy]}, step ${row.step}`), el("span", `total ${figure(row.total)}`, "figures small soft")];
        return foldable(head, () => {
          const inside = el("div", null, "inside");
          const parts = Object.entries(row.scores).map(([name, score]) => `${name} ${figure(score)}`);
          inside.append(el("p", all.prompts[row.prompt], "small"), el("p", `Gold answer ${row.answer}. ${parts.join(", ")}`, "small soft"), el("pre", row.completion, "wrapped"));
          return inside;
        });
      }, "rollouts");
    };
    bar.append(words, who, paid, order);
    bar.addEventListener("input", show);
    show();
  };

  const exchanges = async (bar, view) => {
    const all = await unpack("exchanges");
    const text = (numbers) => (numbers === null ? "" : numbers.map((k) => all.lines[k]).join("\n"));
    const words = field("Words of question or reply");
    const rounds = choice("Round", [["", "every round"], ...[...new Set(all.rows.map((row) => row.round))].map((n) => [n, `round ${n}`])]);
    const show = () => {
      const fits = all.rows.filter((row) => (rounds.value === "" || row.round === Number(rounds.value)) && has(words.value, text(row.prompt), text(row.reply)));
      listed(view, fits, (row) => {
        const cost = row.cost === null ? "price unknown" : `$${figure(row.cost)}`;
        const head = [el("span", `Round ${row.round}, ${row.model}`), el("span", `${row.tokens.toLocaleString("en")} tokens, ${cost}`, "figures small soft")];
        return foldable(head, () => {
          const inside = el("div", null, "inside");
          inside.append(el("h3", "Question", "part"), el("pre", text(row.prompt), "wrapped"), el("h3", row.reply === null ? "No reply" : "Reply", "part"));
          if (row.reply !== null) inside.append(el("pre", text(row.reply), "wrapped"));
          const end = [row.finish && row.finish !== "stop" ? `It ended by ${row.finish}.` : "", row.error].filter(Boolean).join(" ");
          if (end) inside.append(el("p", end, "small soft"));
          return inside;
        });
      }, "exchanges");
    };
    bar.append(words, rounds);
    bar.addEventListener("input", show);
    show();
  };

  const beside = async (bar, view) => {
    const all = document.querySelector('[data-part="asked"]') ? await unpack("asked") : [];
    const sections = [...document.querySelectorAll(".candidates > details")];
    const names = sections.map((section) => section.dataset.name);
    const others = [...new Set(all.flatMap((asked) => asked.policies.map((policy) => policy.name)))].filter((name) => !names.includes(name));
    const options = [...names, ...others].map((name, k) => [k, name]);
    const sides = ["First", "Second"].map((label) => choice(label, options));
    sides[1].selectedIndex = Math.min(1, options.length - 1);
    const clone = (section, selector) => {
      const box = el("div", null, "curves");
      for (const node of section?.querySelectorAll(selector) ?? []) box.append(node.cloneNode(true));
      return box;
    };
    const show = () => {
      const chosen = sides.map((side) => Number(side.value));
      const [a, b] = chosen.map((k) => options[k][1]);
      const [one, other] = chosen.map((k) => sections[k]);
      view.replaceChildren();
      const sources = [one, other].map((section) => section?.querySelector("pre[id$=-source]")?.textContent.trimEnd() ?? "");
      if (sources.some(Boolean)) view.append(el("h3", "Source"), twoSources(...sources));
      if (one?.querySelector(".training") || other?.querySelector(".training")) {
        const two = el("div", null, "two");
        two.append(clone(one, ".training > div"), clone(other, ".training > div"));
        view.append(el("h3", "Training"), two);
      }
      for (const asked of all) {
        const [first, second] = [a, b].map((name) => asked.policies.find((policy) => policy.name === name));
        if (!first || !second || first === second) continue;
        const apart = asked.questions.map((_, k) => k).filter((k) => first.right[k] !== second.right[k]);
        const alone = apart.filter((k) => first.right[k] === "1").length;
        view.append(el("h3", `Questions on which they differ (${splitName(asked)})`));
        view.append(el("p", `Of ${asked.questions.length}, ${a} alone gets ${alone} right and ${b} alone ${apart.length - alone}.`, "small soft"));
        const box = el("div");
        view.append(box);
        listed(box, apart, (k) =>
          foldable(questionHead(asked, k, `${first.right[k] === "1" ? a : b} is right`), () => {
            const inside = el("div", null, "inside");
            const two = el("div", null, "two");
            two.append(answerBox(first, k), answerBox(second, k));
            inside.append(questionText(asked, k), two);
            return inside;
          }), "questions");
      }
    };
    bar.append(...sides);
    bar.addEventListener("input", show);
    show();
  };

  // Each view is made when a reader comes near it.
  for (const [name, make] of Object.entries({ beside, questions, rollouts, exchanges })) {
    const section = document.getElementById(`view-${name}`);
    if (!section) continue;
    const bar = section.querySelector(".filters"), view = section.querySelector(".view");
    const near = new IntersectionObserver(async (seen) => {
      if (!seen.some((entry) => entry.isIntersecting)) return;
      near.disconnect();
      bar.hidden = false;
      try {
        await make(bar, view);
      } catch (error) {
        view.replaceChildren(el("p", `This browser could not unpack it (${error.message}).`, "soft"));
      }
    }, { rootMargin: "300px" });
    near.observe(section);
  }

  // On paper every candidate's source stands, whether its section was open or not.
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll(".candidates > details:not([open])")].filter((section) => !section.hidden);
    for (const section of opened) {
      section.classList.add("source-only");
      section.open = true;
    }
  });
  window.addEventListener("afterprint", () => {
    for (const section of opened) {
      section.classList.remove("source-only");
      section.open = false;
    }
  });
})();
