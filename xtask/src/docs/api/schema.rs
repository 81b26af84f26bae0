//! Schemas in words and tables.

use super::json::Json;

/// The keywords of JSON Schema that are shown here, or that say nothing for readers.
#[cfg(test)]
pub const SHOWN: [&str; 24] = [
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "description",
    "discriminator",
    "enum",
    "example",
    "examples",
    "format",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "not",
    "oneOf",
    "pattern",
    "properties",
    "required",
];

/// A link to a named schema's section.
pub fn link(reference: &str) -> String {
    let name = name(reference);
    format!("[{name}]({}#{})", page(name), name.to_lowercase())
}

/// The last part of a reference.
pub fn name(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

/// The page of a named schema. Errors' names are in capitals.
pub fn page(name: &str) -> &'static str {
    if name == "Problem" || !name.contains(char::is_lowercase) {
        "problems.md"
    } else {
        "schemas.md"
    }
}

/// A value as code; a text without its quotes.
pub fn code(value: &Json) -> String {
    match value.as_text() {
        Some(text) => format!("`{text}`"),
        None => format!("`{value}`"),
    }
}

/// What a value is, in a few words.
pub fn kind(schema: &Json) -> String {
    let mut parts = vec![base(schema)];
    let mut add = |part: Option<String>| parts.extend(part);
    add(schema.text("format").map(|format| format!("`{format}`")));
    add(content(schema));
    add(range(schema, "minimum", "maximum"));
    add(range(schema, "minItems", "maxItems").map(|range| format!("{range} entries")));
    add(schema
        .text("pattern")
        .map(|pattern| format!("matching `{pattern}`")));
    if let Some(not) = schema.get("not") {
        let values = not.list("enum").iter().map(code);
        add(alternatives(values).map(|values| format!("not {values}")));
        add(not
            .text("pattern")
            .map(|pattern| format!("not matching `{pattern}`")));
    }
    add(schema
        .get("default")
        .map(|value| format!("by default {}", code(value))));
    parts.join(", ")
}

/// A value's type, or what it may be.
fn base(schema: &Json) -> String {
    if let Some(reference) = schema.text("$ref") {
        let required = schema.texts("required");
        let required = required.iter().map(|name| format!("`{name}`"));
        let members = schema.get("properties").map_or(&[][..], Json::members);
        let members = members.iter();
        let members = members.map(|(name, schema)| format!("`{name}`: {}", kind(schema)));
        let with: Vec<_> = required.chain(members).collect();
        return match &with[..] {
            [] => link(reference),
            with => format!("{}, with {}", link(reference), with.join(", ")),
        };
    }
    if let Some(value) = schema.get("const") {
        return code(value);
    }
    let values = alternatives(schema.list("enum").iter().map(code));
    let kinds = || alternatives(schema.list("oneOf").iter().map(kind));
    if let Some(one_of) = values.or_else(kinds) {
        return one_of;
    }
    match (schema.get("type"), schema) {
        (_, Json::Plain(value)) if *value == false => "must not be there".to_owned(),
        (Some(Json::List(types)), _) => {
            let types = types.iter().filter_map(Json::as_text);
            alternatives(types.map(str::to_owned)).unwrap_or_default()
        }
        (Some(kind_of), _) if kind_of.as_text() == Some("array") => match schema.get("items") {
            Some(items) => format!("array of {}", kind(items)),
            None => "array".to_owned(),
        },
        (Some(kind_of), _) => kind_of.as_text().unwrap_or_default().to_owned(),
        (None, _) => "anything".to_owned(),
    }
}

/// What is encoded in a string.
fn content(schema: &Json) -> Option<String> {
    let encoding = schema.text("contentEncoding")?;
    let media_type = schema.text("contentMediaType");
    let of = media_type.map_or_else(String::new, |of| format!(" of `{of}`"));
    let what = schema.get("contentSchema").map(kind);
    let what = what.map_or_else(String::new, |what| format!(": {what}"));
    Some(format!("{encoding}{of}{what}"))
}

fn range(schema: &Json, least: &str, most: &str) -> Option<String> {
    match (schema.get(least), schema.get(most)) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (Some(least), None) => Some(format!("at least {least}")),
        (None, Some(most)) => Some(format!("at most {most}")),
        (None, None) => None,
    }
}

/// "a, b or c", or nothing where there is none.
pub fn alternatives(words: impl Iterator<Item = String>) -> Option<String> {
    let mut words: Vec<String> = words.collect();
    let last = words.pop()?;
    Some(match words.is_empty() {
        true => last,
        false => format!("{} or {last}", words.join(", ")),
    })
}

/// A row of a table: bars in cells are not ends of them.
pub fn row<const N: usize>(cells: [&str; N]) -> String {
    let cells = cells.map(|cell| cell.replace('|', "\\|").replace('\n', " "));
    format!("| {} |\n", cells.join(" | "))
}

/// The head of a table.
pub fn head<const N: usize>(cells: [&str; N]) -> String {
    row(cells) + &row(["---"; N])
}

/// What a named schema says.
pub fn section(document: &Json, schema: &Json) -> String {
    let one_of = schema.list("oneOf");
    let mut text = String::new();
    if schema.get("properties").is_some() {
        text += &members(document, schema);
    } else if one_of.iter().any(|one| one.get("properties").is_some()) {
        let tables = one_of.iter().map(|one| members(document, one));
        text += &tables.collect::<Vec<_>>().join("\nOr:\n\n");
    } else {
        text += &format!("**Value:** {}.\n", kind(schema));
    }
    let required = |schemas: &[Json]| {
        let names = schemas.iter().flat_map(|schema| schema.texts("required"));
        alternatives(names.map(|name| format!("`{name}`")))
    };
    if let Some(names) = required(one_of).filter(|_| schema.get("properties").is_some()) {
        text += &format!("\nWith {names}, and not both.\n");
    }
    if let Some(names) = schema
        .get("not")
        .and_then(|not| required(not.list("anyOf")))
    {
        text += &format!("\nWithout {names}.\n");
    }
    if schema
        .get("additionalProperties")
        .is_some_and(|any| any.to_string() == "false")
    {
        text += "\nOther members are refused.\n";
    }
    text
}

/// A table of an object's members.
fn members(document: &Json, schema: &Json) -> String {
    let required = schema.texts("required");
    let mut table = head(["Member", "Value", "What it is"]);
    let members = schema.get("properties").map_or(&[][..], Json::members);
    for (name, member) in members {
        let mut value = kind(member);
        if !required.contains(&name.as_str()) && !value.starts_with("must not") {
            value += "; optional";
        }
        table += &row([&format!("`{name}`"), &value, &description(document, member)]);
    }
    table
}

/// A member's description, or else the first sentence of its schema's.
fn description(document: &Json, member: &Json) -> String {
    let own = member.text("description").map(str::to_owned);
    let of_schema = || {
        let schema = document.at(member.text("$ref")?).ok()?;
        let text = schema.text("description")?;
        let end = text.find(';').or_else(|| text.find(". "));
        Some(end.map_or_else(|| text.to_owned(), |end| format!("{}.", &text[..end])))
    };
    own.or_else(of_schema).unwrap_or_default()
}
