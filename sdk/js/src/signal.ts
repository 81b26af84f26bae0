/** What an `AbortSignal` ends. */

/** Why a signal was aborted; older engines do not say. */
export function reasonOf({ reason }: AbortSignal): unknown {
  return reason === undefined
    ? new DOMException("This operation was aborted", "AbortError")
    : reason;
}

/** Throws the signal's reason if it is aborted; `AbortSignal` itself can do that only in newer engines. */
export function throwIfAborted(signal?: AbortSignal): void {
  if (signal?.aborted) {
    throw reasonOf(signal);
  }
}

/**
 * What the promise gives, or the signal's reason if that is aborted before. What becomes of the promise
 * is then nobody's concern.
 */
export function unlessAborted<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) {
    return promise;
  }
  return new Promise<T>((resolve, reject) => {
    const end = () => reject(reasonOf(signal));
    if (signal.aborted) {
      end();
    }
    signal.addEventListener("abort", end);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", end));
  });
}

/**
 * Has `take` do `work` when it is its turn. If the signal is aborted before, the promise rejects with its
 * reason at once, and the turn passes without the work. Once that has begun, the signal ends nothing here.
 */
export function inTurn<T>(
  take: (turn: () => Promise<T>) => Promise<T>,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    throwIfAborted(signal);
    const end = () => reject(reasonOf(signal!));
    const ignore = () => signal?.removeEventListener("abort", end);
    const turn = async () => {
      ignore();
      throwIfAborted(signal);
      return work();
    };
    signal?.addEventListener("abort", end);
    take(turn).finally(ignore).then(resolve, reject);
  });
}
