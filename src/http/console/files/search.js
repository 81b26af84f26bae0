// Names that contain a text, found with lists by name alone.

/** How many domains are asked for at once. */
const PAGE = 200;

/** After how many names a search for what is inside of names stops, until it is told to go on. */
export const MOST = 5000;

/** What no name is that begins with `start`, but all that come before those are. */
function justBefore(start) {
  const last = start.charCodeAt(start.length - 1);
  return `${start.slice(0, -1)}${String.fromCharCode(last - 1)}~`;
}

/**
 * A search for domains whose names contain a text, in either case. Those that begin with it come first:
 * the server lists domains by name, so they are found at once among however many. For the others it is
 * asked for all names, a part of them at a time.
 */
export class Search {
  #step;
  #limit;
  #most = MOST;
  #found = new Map();
  /** How many were given last. */
  #given = 0;
  /** Where each of the two ways goes on; `null` at its end. */
  #names = { after: null };
  #beginnings;
  #lookedAt = 0;

  /** `step` is how many domains are given at first, and how many more each time. */
  constructor(text, step) {
    this.text = text;
    this.#step = step;
    this.#limit = step;
    this.#beginnings = /^[\w.-]+$/.test(text) ? { after: justBefore(text) } : null;
  }

  /** The same from the beginning, to where this one may go. */
  again() {
    const search = new Search(this.text, this.#step);
    search.#limit = this.#limit;
    search.#most = this.#most;
    return search;
  }

  /** Lets it give more. */
  more() {
    this.#limit = this.#given + this.#step;
  }

  /** Lets it look at more names. */
  goOn() {
    this.#most = this.#lookedAt + MOST;
  }

  /**
   * Goes on from where it is to where it may go. Gives `domains`; whether there are `more`; how many
   * names were `lookedAt`, if not at all of them; and whether a look at all of them is `quick`.
   */
  async run(api, signal) {
    const isEnough = () => this.#names === null || this.#found.size > this.#limit;
    if (this.#names && this.#lookedAt === 0) {
      await this.#lookAtNames(api, signal);
    }
    const quick = this.#names === null && this.#lookedAt <= PAGE;
    while (!isEnough() && this.#beginnings) {
      await this.#lookAtBeginnings(api, signal);
    }
    while (!isEnough() && this.#lookedAt < this.#most) {
      await this.#lookAtNames(api, signal);
    }
    const all = [...this.#found.values()];
    const begins = ({ domain }) => (domain.startsWith(this.text) ? 0 : 1);
    all.sort((a, b) => begins(a) - begins(b));
    const domains = all.slice(0, this.#limit);
    this.#given = domains.length;
    const more = domains.length < all.length;
    const lookedAt = isEnough() ? null : this.#lookedAt;
    return { text: this.text, domains, more, lookedAt, quick };
  }

  async #list(api, { after }, signal) {
    const page = await api.domains({ after, limit: PAGE, signal });
    // Another run may have begun since.
    signal.throwIfAborted();
    return page;
  }

  async #lookAtNames(api, signal) {
    const { domains, next } = await this.#list(api, this.#names, signal);
    this.#keep(domains);
    this.#lookedAt += domains.length;
    this.#names = next && { after: next };
  }

  async #lookAtBeginnings(api, signal) {
    const { domains, next } = await this.#list(api, this.#beginnings, signal);
    const beginning = domains.filter(({ domain }) => domain.startsWith(this.text));
    this.#keep(beginning);
    const isLast = beginning.length < domains.length;
    this.#beginnings = isLast ? null : next && { after: next };
  }

  #keep(domains) {
    const wanted = this.text.toLowerCase();
    for (const domain of domains) {
      if (domain.domain.toLowerCase().includes(wanted)) {
        this.#found.set(domain.domain, domain);
      }
    }
  }
}
