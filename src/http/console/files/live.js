// What is shown stays what is.

const EVERY_MS = 4000;

/** Loads something at once, when asked, and every few seconds while the page is seen. */
export class Live {
  #load;
  #show;
  #timer;
  #running = null;
  #paused = false;
  #stopped = false;
  #problem = null;
  #data;

  /**
   * `load` gets a signal and whether this was asked for; it may give what it gave before. `show` gets its
   * result as `data` and when it was `updated`, if it is another than before; or why there is none as
   * `problem`.
   */
  constructor(load, show) {
    this.#load = load;
    this.#show = show;
  }

  start() {
    document.addEventListener("visibilitychange", this);
    this.refresh();
  }

  /** For good: what is asked for later is not loaded. */
  stop() {
    this.#stopped = true;
    document.removeEventListener("visibilitychange", this);
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#running = null;
  }

  get paused() {
    return this.#paused;
  }

  pause(paused) {
    this.#paused = paused;
    this.#show({});
    if (paused) {
      clearTimeout(this.#timer);
    } else {
      this.refresh();
    }
  }

  handleEvent() {
    clearTimeout(this.#timer);
    if (!document.hidden && !this.#paused) {
      this.#run(false);
    }
  }

  /** Loads now. What was being loaded is of no interest any more. */
  refresh() {
    return this.#run(true);
  }

  async #run(asked) {
    if (this.#stopped) {
      return;
    }
    clearTimeout(this.#timer);
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    let wait = EVERY_MS;
    let result;
    try {
      const data = await this.#load(running.signal, asked);
      // What is the same object was not loaded again, so there is no news of the server either.
      const isLoaded = data !== this.#data;
      result = isLoaded ? { data, problem: null, updated: new Date() } : { problem: this.#problem };
    } catch (problem) {
      // The same again is not news, though its request has another name.
      const isSame = !asked && problem.message === this.#problem?.message;
      result = { problem: isSame ? this.#problem : problem };
      wait = Math.max(wait, 1000 * (problem.retryAfter ?? 0));
    }
    if (this.#running !== running) {
      return;
    }
    this.#problem = result.problem;
    this.#data = result.data ?? this.#data;
    this.#show(result);
    // What is gone does not come back by itself. Another 404 may be a proxy's.
    const isGone = result.problem?.error === "UNKNOWN_DOMAIN";
    if (!document.hidden && !this.#paused && !isGone && this.#running === running) {
      this.#timer = setTimeout(() => this.#run(false), wait);
    }
  }
}
