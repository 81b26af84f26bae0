// Preact and htm as the views use them.

import { Component, createRef, h, render } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export { Component, createRef, render };

/** Makes elements of a template. What is put into it is text, never markup. */
export const html = htm.bind(h);
