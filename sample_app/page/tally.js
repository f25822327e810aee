/** What was asked on this page, and what follows from it. Pure: knows neither page nor network. */

/**
 * @typedef {object} Asked one answered question
 * @property {string} question
 * @property {string} model
 * @property {{hit: boolean, bought: boolean, word: string, kind: string}} verdict
 * @property {number} first milliseconds until the first words
 * @property {number} total milliseconds until the end
 * @property {{prompt_tokens: number, completion_tokens: number, total_tokens: number}|null} usage
 */

export class Tally {
  /** @type {Asked[]} */
  asked = [];

  add(asked) {
    this.asked.push(asked);
  }

  get hits() {
    return this.asked.filter(({ verdict }) => verdict.hit).length;
  }

  /** The share of hits after each ask. */
  get rates() {
    let hits = 0;
    return this.asked.map(({ verdict }, index) => {
      hits += verdict.hit ? 1 : 0;
      return { rate: hits / (index + 1), hit: verdict.hit };
    });
  }

  /** Tokens that a provider was asked for (true), or that came for nothing (false). */
  tokens(bought) {
    return sum(this.asked.filter(({ verdict }) => verdict.bought === bought), (usage) => usage.total_tokens);
  }

  /**
   * What the tokens not bought would have cost.
   *
   * @param {{input: number|null, output: number|null}} prices dollars per million tokens
   * @returns {number|null} dollars; null while a price is missing
   */
  money({ input, output }) {
    if (input === null || output === null) return null;
    const price = (usage) => usage.prompt_tokens * input + usage.completion_tokens * output;
    return sum(this.asked.filter(({ verdict }) => !verdict.bought), price) / 1e6;
  }

  /** The last times of this question to this model: from the model, and from the cache. */
  race(question, model) {
    const same = this.asked.filter((asked) => asked.question === question && asked.model === model);
    const last = (hit) => same.findLast(({ verdict }) => verdict.hit === hit)?.total ?? null;
    return { model: last(false), cache: last(true) };
  }

  /** Milliseconds that hits were shorter than the model's last answer to the same question. */
  get waiting() {
    const last = new Map();
    return this.asked.reduce((spared, { question, model, verdict, total }) => {
      const key = JSON.stringify([question, model]);
      if (!verdict.hit) last.set(key, total);
      return spared + (verdict.hit && last.has(key) ? Math.max(last.get(key) - total, 0) : 0);
    }, 0);
  }

  knows(question, model) {
    return this.asked.some((asked) => asked.question === question && asked.model === model);
  }
}

function sum(asked, value) {
  return asked.reduce((total, { usage }) => total + (usage ? value(usage) : 0), 0);
}
