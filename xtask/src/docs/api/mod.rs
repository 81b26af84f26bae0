//! The reference of the API, made from its OpenAPI document: an overview, a page for each tag, the
//! schemas, and the errors.

mod json;
mod operation;
mod schema;

use anyhow::{Context, Result, bail};
use json::Json;
use operation::{Operation, resolve};
use schema::{code, head, kind, row};

/// What the overview is called.
pub const TITLE: &str = "API";

/// Where the pages are in the book.
pub const DIRECTORY: &str = "api";

/// A page of the reference.
pub struct Page {
    pub title: String,
    /// In its directory.
    pub file: String,
    pub text: String,
}

/// The pages of an OpenAPI document, the overview first.
///
/// # Errors
/// When it is no JSON, refers to what it does not have, or a tag of an operation is not described.
pub fn pages(openapi: &str) -> Result<Vec<Page>> {
    let document: Json = serde_json::from_str(openapi).context("the OpenAPI document")?;
    let tags = document.list("tags");
    let tags: Vec<(&str, &str)> = tags
        .iter()
        .filter_map(|tag| Some((tag.text("name")?, tag.text("description")?)))
        .collect();
    if let Some(stray) = Operation::all(&document)
        .find(|operation| !tags.iter().any(|(name, _)| *name == operation.tag()))
    {
        bail!("{} has no tag with a description", stray.id());
    }
    let mut pages = vec![Page {
        title: TITLE.to_owned(),
        file: "index.md".to_owned(),
        text: overview(&document, &tags)?,
    }];
    for (tag, description) in tags {
        let mut text = format!("# API: {tag}\n\n{description}\n");
        for operation in Operation::all(&document).filter(|one| one.tag() == tag) {
            text += &operation.section(&document)?;
        }
        pages.push(Page {
            title: capitalized(tag),
            file: format!("{tag}.md"),
            text,
        });
    }
    for (title, text) in [
        ("Schemas", schemas(&document)?),
        ("Problems", problems(&document)?),
    ] {
        pages.push(Page {
            title: title.to_owned(),
            file: format!("{}.md", title.to_lowercase()),
            text: format!("# API: {}\n{text}", title.to_lowercase()),
        });
    }
    Ok(pages)
}

fn overview(document: &Json, tags: &[(&str, &str)]) -> Result<String> {
    let info = document.at("#/info")?;
    let mut text = format!(
        "# {TITLE}\n\n{}\n\nThese pages are made from [openapi.json](openapi.json), which every \
         server has at `/openapi.json`. Content is `application/json`, and that of errors \
         `application/problem+json`, where nothing else is said.\n\n## Calls\n",
        info.text("description").unwrap_or_default()
    );
    for (tag, description) in tags {
        text += &format!("\n### {}\n\n{description}\n\n", capitalized(tag));
        text += &head(["Call", "Path", "What it does"]);
        for operation in Operation::all(document).filter(|one| one.tag() == *tag) {
            // A narrow column breaks it after a slash.
            let path = operation.path.replace('/', "/<wbr>");
            let path = format!("<code>{} {path}</code>", operation.method);
            text += &row([&operation.link(operation.id()), &path, operation.summary()]);
        }
    }
    text += "\n## Authentication\n";
    for (name, scheme) in document.at("#/components/securitySchemes")?.members() {
        let description = scheme.text("description").unwrap_or_default();
        text += &format!(
            "\n### {name}\n\n```http\nAuthorization: Bearer TOKEN\n```\n\n{description}\n"
        );
    }
    text += "\n## Header fields\n\n";
    text += &head(["Field", "Value", "What it is"]);
    for (name, field) in header_fields(document)? {
        let mut value = field.get("schema").map(kind).unwrap_or_default();
        if let Some(example) = field.get("example") {
            value += &format!(", such as {}", code(example));
        }
        let description = field.text("description").unwrap_or_default();
        text += &row([&format!("`{name}`"), &value, description]);
    }
    Ok(text)
}

/// The header fields of all answers, in the order in which they come up.
fn header_fields(document: &Json) -> Result<Vec<(&str, &Json)>> {
    let mut found: Vec<(&str, &Json)> = Vec::new();
    for operation in Operation::all(document) {
        for (_, answer) in operation.answers() {
            let fields = resolve(document, answer)?.get("headers");
            for (name, field) in fields.map_or(&[][..], Json::members) {
                if !found.iter().any(|(seen, _)| seen == name) {
                    found.push((name, resolve(document, field)?));
                }
            }
        }
    }
    Ok(found)
}

fn schemas(document: &Json) -> Result<String> {
    let mut text = "\nWhat requests and answers consist of.\n".to_owned();
    let schemas = document.at("#/components/schemas")?.members().iter();
    for (name, schema) in schemas.filter(|(name, _)| schema::page(name) == "schemas.md") {
        text += &described(document, name, schema)?;
    }
    Ok(text)
}

fn problems(document: &Json) -> Result<String> {
    let mut text =
        "\nWhat errors are answered with. A program should look at `error`.\n".to_owned();
    let schemas = document.at("#/components/schemas")?.members().iter();
    for (name, schema) in schemas.filter(|(name, _)| schema::page(name) == "problems.md") {
        if name == "Problem" {
            text += &described(document, name, schema)?;
            continue;
        }
        let description = schema.text("description").unwrap_or_default();
        text += &format!("\n## {name}\n\n{description}\n\n");
        text += &head(["Member", "Value"]);
        for (member, value) in schema.get("properties").map_or(&[][..], Json::members) {
            if let Some(value) = value.get("const") {
                text += &row([&format!("`{member}`"), &code(value)]);
            }
        }
        let mut calls = Vec::new();
        for operation in Operation::all(document) {
            if operation.problems(document)?.contains(&name.as_str()) {
                calls.push(operation.link(operation.id()));
            }
        }
        text += &format!("\n**Answer to:** {}.\n", calls.join(", "));
    }
    Ok(text)
}

/// The section of a named schema.
fn described(document: &Json, name: &str, schema: &Json) -> Result<String> {
    let mut text = format!("\n## {name}\n\n");
    if let Some(description) = schema.text("description") {
        text += &format!("{description}\n\n");
    }
    text += &schema::section(document, schema);
    for example in schema.list("examples") {
        text += &format!("\nFor example:\n\n```json\n{}\n```\n", example.pretty()?);
    }
    Ok(text)
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next();
    first.map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Json {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let text = std::fs::read_to_string(path.join(super::super::book::OPENAPI)).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_call_has_all_that_the_document_says() {
        let openapi = r##"{
          "info": { "description": "All." },
          "tags": [{ "name": "anyone", "description": "For anyone." }],
          "paths": { "/a/{b}": {
            "parameters": [{ "$ref": "#/components/parameters/b" }],
            "put": {
              "tags": ["other", "anyone"], "operationId": "setB", "summary": "Set it",
              "description": "Once.", "security": [{}, { "token": [] }],
              "parameters": [{ "name": "c", "in": "query", "schema": { "type": "integer", "minimum": 1, "default": 2 } }],
              "requestBody": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Box" }, "example": { "z": 1, "a": [] } } } },
              "responses": {
                "204": { "description": "It is set.", "headers": { "ETag": { "$ref": "#/components/headers/E" } } },
                "400": { "description": "Not | at all.", "content": { "application/problem+json": { "schema": { "oneOf": [{ "$ref": "#/components/schemas/BAD" }] } } } } } } } },
          "components": {
            "securitySchemes": { "token": { "description": "One." } },
            "parameters": { "b": { "name": "b", "in": "path", "required": true, "description": "Which.", "schema": { "enum": ["x", "y", "z"] } } },
            "headers": { "E": { "description": "Its mark.", "schema": { "type": "string" } } },
            "responses": {},
            "schemas": {
              "Box": { "type": "object", "required": ["z"], "properties": {
                "z": { "type": ["integer", "null"], "description": "Last." }, "a": { "type": "array", "items": { "$ref": "#/components/schemas/Box" } } } },
              "BAD": { "description": "It is bad.", "$ref": "#/components/schemas/Problem", "properties": { "status": { "const": 400 }, "code": false } } } }
        }"##;
        let pages = pages(openapi).unwrap();
        let files: Vec<_> = pages.iter().map(|page| page.file.as_str()).collect();
        assert_eq!(
            files,
            ["index.md", "anyone.md", "schemas.md", "problems.md"]
        );
        let expected = r#"# API: anyone

For anyone.

## setB

Set it.

`PUT /a/{b}`

Once.

**Authentication:** none or [token](index.md#token).

| Parameter | In | Value | What it is |
| --- | --- | --- | --- |
| `b` | path | `x`, `y` or `z` | Which. |
| `c` | query | integer, at least 1, by default `2`; optional |  |

**Request:** [Box](schemas.md#box).

```json
{
  "z": 1,
  "a": []
}
```

| Answer | When | Content | Header fields |
| --- | --- | --- | --- |
| 204 | It is set. |  | `ETag` |
| 400 | Not \| at all. | [BAD](problems.md#bad) |  |
"#;
        assert_eq!(pages[1].text, expected);
        let expected = "# API: schemas\n\nWhat requests and answers consist of.\n\n## Box\n\n\
            | Member | Value | What it is |\n| --- | --- | --- |\n\
            | `z` | integer or null | Last. |\n| `a` | array of [Box](schemas.md#box); optional |  |\n";
        assert_eq!(pages[2].text, expected);
        let bad = "## BAD\n\nIt is bad.\n\n| Member | Value |\n| --- | --- |\n\
            | `status` | `400` |\n\n**Answer to:** [setB](anyone.md#setb).\n";
        assert!(pages[3].text.ends_with(bad), "{}", pages[3].text);
        let fields = "| `ETag` | string | Its mark. |\n";
        assert!(pages[0].text.ends_with(fields), "{}", pages[0].text);
        assert!(
            pages[0].text.contains(
                "| [setB](anyone.md#setb) | <code>PUT /<wbr>a/<wbr>{b}</code> | Set it |"
            )
        );
    }

    /// Calls `visit` with each schema, and all in it.
    fn schemas_in(value: &Json, visit: &mut impl FnMut(&Json)) {
        for (name, value) in value.members() {
            match name.as_str() {
                "schema" => each(value, visit),
                "schemas" => value
                    .members()
                    .iter()
                    .for_each(|(_, value)| each(value, visit)),
                _ => schemas_in(value, visit),
            }
        }
    }

    fn each(schema: &Json, visit: &mut impl FnMut(&Json)) {
        visit(schema);
        for (name, value) in schema.members() {
            match (name.as_str(), value) {
                ("properties", value) => {
                    value
                        .members()
                        .iter()
                        .for_each(|(_, value)| each(value, visit));
                }
                ("oneOf" | "anyOf" | "allOf", Json::List(list)) => {
                    list.iter().for_each(|value| each(value, visit));
                }
                ("items" | "not" | "contentSchema", value) => each(value, visit),
                _ => {}
            }
        }
    }

    #[test]
    fn every_keyword_of_the_document_is_shown() {
        schemas_in(&document(), &mut |schema| {
            for (name, _) in schema.members() {
                let is_shown = name == "type" || schema::SHOWN.contains(&name.as_str());
                assert!(is_shown, "{name} of {schema}");
            }
        });
    }

    #[test]
    fn everything_that_needs_one_has_a_description() {
        let document = document();
        schemas_in(&document, &mut |schema| {
            for (name, member) in schema.get("properties").map_or(&[][..], Json::members) {
                let says = ["description", "$ref", "const", "contentSchema"];
                let says = says.iter().any(|keyword| member.get(keyword).is_some());
                assert!(says || member.to_string() == "false", "{name} of {schema}");
            }
        });
        for kind in ["parameters", "headers"] {
            for (name, value) in document
                .at(&format!("#/components/{kind}"))
                .unwrap()
                .members()
            {
                assert!(value.get("description").is_some(), "{name} of {kind}");
            }
        }
    }
}
