// What can be done to a domain: what happens then, and how it is done.
//
// Each gives what the confirmation needs: `title`, `what` happens, the name of the `action`, how to
// `run` it, what is `said` when it is done, and what gets the `focus`. Who asks may add what is to be
// done `after`, with what running it gave.

import { counted } from "./format.js";
import { html } from "./view.js";

const named = (text) => html`<strong>${text}</strong>`;
const coded = (text) => html`<code>${text}</code>`;

export const remove = (api, { domain }, machine) => ({
  title: "Remove this machine?",
  what: html`
    <p>Removes machine ${coded(machine)} from ${named(domain)}.</p>
    <ul>
      <li>It keeps the keys that it has: what was bound to the domain before still plays on it.</li>
      <li>
        The next registration in the domain makes a new key, which this machine gets only if it joins
        again. To keep it out, block it instead.
      </li>
    </ul>
  `,
  action: "Remove",
  danger: true,
  run: () => api.remove(domain, machine),
  said: `Removed machine ${machine}. The next registration makes a new key.`,
  focus: "members",
});

export const block = (api, { domain }, machine) => ({
  title: "Block this machine?",
  what: html`
    <p>Blocks machine ${coded(machine)} in ${named(domain)}, and removes it if it is a member.</p>
    <ul>
      <li>It cannot join until it is unblocked: it is refused with ${coded("DOM_REG_DENIED")}.</li>
      <li>
        If it is a member, it keeps the keys that it has: what was bound to the domain before still
        plays on it. The next registration makes a new key, which it does not get.
      </li>
    </ul>
  `,
  action: "Block",
  danger: true,
  run: () => api.block(domain, machine),
  said: `Blocked machine ${machine}.`,
  focus: "blocked",
});

export const unblock = (api, { domain }, machine) => ({
  title: "Unblock this machine?",
  what: html`
    <p>
      Lets machine ${coded(machine)} join ${named(domain)} again. It is no member until it asks to, and
      gets all of the domain's keys then.
    </p>
  `,
  action: "Unblock",
  run: () => api.unblock(domain, machine),
  said: `Unblocked machine ${machine}: it may join again.`,
  focus: "blocked",
});

export const rollOver = (api, { domain, keyVersion }) => ({
  title: "Roll the key over?",
  what: html`
    <p>
      The next registration in ${named(domain)} makes version ${(keyVersion ?? 0) + 1} of its key.
      Members get it when they ask again; the versions that there are stay.
    </p>
  `,
  action: "Roll over",
  run: () => api.rollOver(domain),
  said: `The next registration in ${domain} makes a new key.`,
  focus: "keys",
});

export const replace = (api, { domain }, { settings, tag, sentences, after }) => ({
  title: "Save these settings?",
  what: html`
    <p>In ${named(domain)}:</p>
    <ul>
      ${sentences.map((sentence) => html`<li>${sentence}</li>`)}
    </ul>
  `,
  action: "Save",
  run: () => api.replace(domain, settings, tag),
  said: `Saved the settings of ${domain}.`,
  focus: "settings",
  after,
});

export const deleteDomain = (api, { domain, memberCount, keyVersion }) => ({
  title: "Delete this domain?",
  what: html`
    <p>
      Deletes ${named(domain)} for good:
      its settings, ${counted(memberCount, "member")}, ${counted(keyVersion ?? 0, "key version")} with
      private keys, and which machines are blocked.
    </p>
    <ul>
      <li>No machine can get these keys again, so content that is bound to them is lost to new ones.</li>
      <li>A later domain of this name is another one, with other keys.</li>
    </ul>
  `,
  action: "Delete",
  danger: true,
  typed: domain,
  run: () => api.delete(domain),
  said: `Deleted ${domain}.`,
  leaves: true,
});
