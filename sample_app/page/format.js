/** Numbers as people read them. */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const NOTHING = "–";

/** Milliseconds: 3.4 ms, 304 ms, 2,310 ms. */
export function milliseconds(value) {
  if (value === null) return NOTHING;
  return `${(value < 10 ? tenth : whole).format(value)} ms`;
}

/** Milliseconds, told in seconds: 7.4 s. */
export function seconds(value) {
  return `${tenth.format(value / 1000)} s`;
}

/** A count, or a dash where nobody told it. */
export function count(value) {
  return value === null ? NOTHING : whole.format(value);
}

/** A share between 0 and 1: 75 %. */
export function percent(share) {
  return share === null ? NOTHING : `${whole.format(share * 100)} %`;
}

/** Dollars, as many digits as small sums need. */
export function dollars(value) {
  return value === null ? NOTHING : `$${value.toFixed(value < 1 ? 6 : 2)}`;
}

/** How many times one time goes into another: 1.4 ×, 570 ×. */
export function times(ratio) {
  return `${(ratio < 10 ? tenth : whole).format(ratio)} ×`;
}
