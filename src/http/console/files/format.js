// Numbers and times as people read them.

const number = new Intl.NumberFormat("en-GB");
const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

export const shownNumber = (value) => number.format(value);

/** A date with its time, to the minute. */
export const shownTime = (date) => moment.format(date);

/** The time of a day, to the second. */
export const shownClock = (date) => clock.format(date);

/** `1 machine`, `2 machines`. */
export const counted = (count, one) => `${shownNumber(count)} ${one}${count === 1 ? "" : "s"}`;
