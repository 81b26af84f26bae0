// Names that contain a text, found with lists by name alone.

/** How many domains are asked for at once. */
const PAGE = 200;

/** After how many pages a search for what is inside of names ends. */
const MOST_PAGES = 25;

/** What no name is that begins with `start`, but all that come before those are. */
function justBefore(start) {
  const last = start.charCodeAt(start.length - 1);
  return `${start.slice(0, -1)}${String.fromCharCode(last - 1)}~`;
}

/**
 * Up to `limit` domains whose names contain `text`, in either case; those that begin with it come
 * first. The server lists domains by name, so they are found at once among however many. For the
 * others it is asked for all names, but not for more than the first five thousand.
 *
 * Gives `domains`, whether there are `more`, how many names were looked at if not at all of them, and
 * whether the search was `quick`: one request.
 */
export async function search(api, text, { limit, signal }) {
  const found = new Map();
  const wanted = text.toLowerCase();
  const keep = (domains) => {
    for (const domain of domains) {
      if (domain.domain.toLowerCase().includes(wanted)) {
        found.set(domain.domain, domain);
      }
    }
  };
  const result = (lookedAt, quick) => {
    const domains = [...found.values()];
    const begins = ({ domain }) => (domain.startsWith(text) ? 0 : 1);
    domains.sort((a, b) => begins(a) - begins(b));
    return { domains: domains.slice(0, limit), more: domains.length > limit, lookedAt, quick };
  };

  let { domains, next } = await api.domains({ limit: PAGE, signal });
  if (next === null) {
    keep(domains);
    return result(null, true);
  }
  if (/^[\w.-]+$/.test(text)) {
    const page = await api.domains({ after: justBefore(text), limit: limit + 1, signal });
    keep(page.domains.filter(({ domain }) => domain.startsWith(text)));
  }
  let lookedAt = 0;
  for (let pages = 1; ; pages++) {
    keep(domains);
    lookedAt += domains.length;
    if (next === null || found.size > limit) {
      return result(null, false);
    }
    if (pages === MOST_PAGES) {
      return result(lookedAt, false);
    }
    ({ domains, next } = await api.domains({ after: next, limit: PAGE, signal }));
  }
}
