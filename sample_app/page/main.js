/** Joins the form, the asking, the tally and the view. */

import { ask, models } from "./ask.js";
import { readVerdict } from "./cache_status.js";
import { Tally } from "./tally.js";
import * as view from "./view.js";

const form = document.getElementById("ask");
const fields = form.elements;
const tally = new Tally();
let running = null; // the AbortController of the question on its way

function wish() {
  return {
    question: fields.question.value.trim(),
    model: fields.model.hidden ? fields["model-name"].value.trim() : fields.model.value,
    stream: fields.stream.checked,
    fresh: fields.fresh.checked,
    key: fields.key.value.trim(),
  };
}

function prices() {
  const price = (field) => (field.value === "" ? null : field.valueAsNumber);
  return { input: price(fields["price-in"]), output: price(fields["price-out"]) };
}

async function askNow() {
  const wanted = wish();
  if (running || !wanted.question || !wanted.model) return;
  running = new AbortController();
  view.begin();
  view.race(tally.race(wanted.question, wanted.model));
  try {
    const asked = await listen(wanted, running.signal);
    record({ ...wanted, ...asked });
  } catch (error) {
    view.fail(error.name === "AbortError" ? "Stopped." : error.message);
  } finally {
    running = null;
  }
}

/** Follows one answer to its end, showing and timing it. */
async function listen(wanted, signal) {
  const start = performance.now();
  const asked = { verdict: null, first: null, total: null, usage: null };
  for await (const heard of ask(wanted, signal)) {
    const elapsed = performance.now() - start;
    if (heard.head) {
      asked.verdict = readVerdict(heard.head.status);
      view.head(heard.head, asked.verdict);
    } else if (heard.usage) {
      asked.usage = heard.usage;
    } else {
      if (asked.first === null) view.firstToken((asked.first = elapsed));
      view.append(heard.text);
    }
  }
  asked.total = performance.now() - start;
  view.finish(asked.total);
  return asked;
}

function record(asked) {
  tally.add(asked);
  view.list(asked, () => repeat(asked));
  view.race(tally.race(asked.question, asked.model));
  view.totals(tally, prices());
  view.rate(tally);
  relabel();
}

/** Puts an earlier question back into the form and asks it. */
function repeat({ question, model }) {
  fields.question.value = question;
  (fields.model.hidden ? fields["model-name"] : fields.model).value = model;
  askNow();
}

function relabel() {
  const { question, model } = wish();
  view.label(tally.knows(question, model));
}

async function loadModels() {
  try {
    view.offer(await models(fields.key.value.trim()));
  } catch (error) {
    view.offer([], `Models not listed. ${error.message}`);
  }
  relabel();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  askNow();
});
form.addEventListener("input", relabel);
fields.question.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});
fields.key.addEventListener("change", loadModels);
for (const price of [fields["price-in"], fields["price-out"]]) {
  price.addEventListener("input", () => view.totals(tally, prices()));
}
for (const example of form.querySelectorAll(".chip")) {
  example.addEventListener("click", () => {
    fields.question.value = example.textContent;
    relabel();
    fields.question.focus();
  });
}
document.getElementById("stop").addEventListener("click", () => running?.abort());
new ResizeObserver(() => view.rate(tally)).observe(document.getElementById("chart"));
loadModels();
