/** The platform's cryptography. */

import { UsageError } from "./errors.js";

/** WebCrypto. Throws a `UsageError` where there is none: browsers keep it from pages over http. */
export function subtle(): SubtleCrypto {
  // The types promise more than there is.
  const found: SubtleCrypto | undefined = typeof crypto === "undefined" ? undefined : crypto.subtle;
  if (found === undefined) {
    throw new UsageError("There is no WebCrypto here: a page needs https, or a loopback address.");
  }
  return found;
}
