/** Reads what askonce says in a Cache-Status header (RFC 9211). */

const WHY = {
  hit: "The cache answered. The model was not asked.",
  stale: "The cache answered, with an answer past its time.",
  miss: "Nothing was stored, so the model was asked.",
  expired: "The stored answer had expired, so the model was asked.",
  request: "The request wanted a fresh answer, so the model was asked.",
  joined: "The same question was under way: one answer for both.",
  bypass: "This request is not cacheable, so the model was asked.",
  none: "No word from a cache: the model was asked.",
};

const WORD = { hit: "HIT", stale: "HIT", bypass: "BYPASS", none: "NO CACHE" };

const FORWARDED = { stale: "expired", request: "request", bypass: "bypass" };

/** What lies between two separators that stand outside of quotes. */
const OUTSIDE_QUOTES = {
  ",": /(?:"(?:\\.|[^"\\])*"|[^,"])+/g,
  ";": /(?:"(?:\\.|[^"\\])*"|[^;"])+/g,
};

/**
 * Says who answered.
 *
 * @param {string|null} header the header as received, which may list several caches
 * @returns {{kind: string, word: string, why: string, hit: boolean, bought: boolean}}
 */
export function readVerdict(header) {
  const kind = kindOf(ours(header ?? ""));
  const hit = kind === "hit" || kind === "stale";
  return {
    kind,
    word: WORD[kind] ?? "MISS",
    why: WHY[kind],
    hit,
    bought: !hit && kind !== "joined",
  };
}

function kindOf(params) {
  if (params === null) return "none";
  if (params.get("detail") === "stale-if-error") return "stale";
  if (params.has("hit")) return Number(params.get("ttl")) < 0 ? "stale" : "hit";
  if (params.has("collapsed")) return "joined";
  return FORWARDED[params.get("fwd")] ?? "miss";
}

/** The parameters of askonce's member, the last one: caches nearer to the model come first. */
function ours(header) {
  const members = split(header, OUTSIDE_QUOTES[","]).map((member) => split(member, OUTSIDE_QUOTES[";"]));
  const found = members.findLast(([name]) => name === "askonce");
  return found ? new Map(found.slice(1).map(parameter)) : null;
}

function parameter(text) {
  const [name, ...value] = text.split("=");
  return [name, value.join("=")];
}

function split(text, parts) {
  return (text.match(parts) ?? []).map((part) => part.trim());
}
