//! What the host offers, generated from `wit/`.

wit_bindgen::generate!({ world: "imports", path: "wit", generate_all });
