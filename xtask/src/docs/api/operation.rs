//! One call: what it takes, and what it is answered.

use anyhow::{Context, Result};

use super::{
    json::Json,
    schema::{alternatives, head, kind, row},
};

/// An operation, and where it is in the document.
pub struct Operation<'a> {
    pub path: &'a str,
    /// In capitals.
    pub method: String,
    pub item: &'a Json,
    pub operation: &'a Json,
}

impl<'a> Operation<'a> {
    /// All operations but HEAD's, which are as GET's.
    pub fn all(document: &'a Json) -> impl Iterator<Item = Operation<'a>> {
        const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "patch", "trace"];
        let paths = document.get("paths").map_or(&[][..], Json::members);
        paths.iter().flat_map(|(path, item)| {
            let methods = item.members().iter();
            let methods = methods.filter(|(method, _)| METHODS.contains(&method.as_str()));
            methods.map(move |(method, operation)| Operation {
                path,
                method: method.to_uppercase(),
                item,
                operation,
            })
        })
    }

    /// What it is called.
    pub fn id(&self) -> &'a str {
        self.operation.text("operationId").unwrap_or_default()
    }

    /// What it does, in a line.
    pub fn summary(&self) -> &'a str {
        self.operation.text("summary").unwrap_or_default()
    }

    /// The tag whose page it is on: the last.
    pub fn tag(&self) -> &'a str {
        let tags = self.operation.texts("tags");
        tags.last().copied().unwrap_or_default()
    }

    /// A link to its section.
    pub fn link(&self, shown: &str) -> String {
        format!("[{shown}]({}.md#{})", self.tag(), self.id().to_lowercase())
    }

    /// The errors that it may be answered, by the names of their schemas.
    pub fn problems(&self, document: &'a Json) -> Result<Vec<&'a str>> {
        let mut problems = Vec::new();
        for (_, answer) in self.answers() {
            let content = resolve(document, answer)?.get("content");
            let content = content.map_or(&[][..], Json::members);
            for (_, content) in content.iter().filter(|(media, _)| media == PROBLEM) {
                let schema = content.get("schema").context("content without a schema")?;
                let one_of = schema.list("oneOf").iter();
                let references = one_of.chain([schema]).filter_map(|one| one.text("$ref"));
                problems.extend(references.map(super::schema::name));
            }
        }
        Ok(problems)
    }

    /// What it may be answered, by status.
    pub fn answers(&self) -> &'a [(String, Json)] {
        let answers = self.operation.get("responses");
        answers.map_or(&[], Json::members)
    }

    /// Its section.
    ///
    /// # Errors
    /// When it refers to what is not in the document.
    pub fn section(&self, document: &Json) -> Result<String> {
        let mut text = format!(
            "\n## {}\n\n{}.\n\n`{} {}`\n",
            self.id(),
            self.summary(),
            self.method,
            self.path
        );
        if let Some(description) = self.operation.text("description") {
            text += &format!("\n{description}\n");
        }
        text += &format!("\n**Authentication:** {}.\n", self.authentication());
        text += &self.parameters(document)?;
        if let Some(body) = self.operation.get("requestBody") {
            for (media, content) in contents(resolve(document, body)?) {
                text += &format!("\n**Request:** {}.\n", what(media, content));
                text += &example(document, content)?;
            }
        }
        text += &format!("\n{}", head(["Answer", "When", "Content", "Header fields"]));
        let mut examples = String::new();
        for (status, answer) in self.answers() {
            let answer = resolve(document, answer)?;
            let contents = contents(answer);
            let shown = contents.iter().map(|(media, content)| what(media, content));
            let shown = shown.collect::<Vec<_>>().join(", ");
            let fields = answer.get("headers").map_or(&[][..], Json::members);
            let fields = fields.iter().map(|(name, _)| format!("`{name}`"));
            let fields = fields.collect::<Vec<_>>().join(", ");
            let when = answer.text("description").unwrap_or_default();
            text += &row([status, when, &shown, &fields]);
            for (_, content) in contents {
                let example = example(document, content)?;
                if !example.is_empty() {
                    examples += &format!("\n**Answer {status}**, for example:\n{example}");
                }
            }
        }
        Ok(text + &examples)
    }

    fn authentication(&self) -> String {
        let ways = self.operation.list("security").iter();
        let ways = ways.map(|way| match way.members() {
            [] => "none".to_owned(),
            schemes => {
                let links = schemes
                    .iter()
                    .map(|(name, _)| format!("[{name}](index.md#{})", name.to_lowercase()));
                links.collect::<Vec<_>>().join(" and ")
            }
        });
        alternatives(ways).unwrap_or_else(|| "none".to_owned())
    }

    fn parameters(&self, document: &Json) -> Result<String> {
        let of_path = self.item.list("parameters").iter();
        let parameters = of_path.chain(self.operation.list("parameters"));
        let mut rows = String::new();
        for parameter in parameters {
            let parameter = resolve(document, parameter)?;
            let text = |name| parameter.text(name).unwrap_or_default();
            let mut value = parameter.get("schema").map(kind).unwrap_or_default();
            if parameter.get("required") != Some(&Json::Plain(true.into())) {
                value += "; optional";
            }
            let name = format!("`{}`", text("name"));
            rows += &row([&name, text("in"), &value, text("description")]);
        }
        Ok(match rows.is_empty() {
            true => rows,
            false => format!(
                "\n{}{rows}",
                head(["Parameter", "In", "Value", "What it is"])
            ),
        })
    }
}

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// What a reference leads to; the value itself if it is none.
pub fn resolve<'a>(document: &'a Json, value: &'a Json) -> Result<&'a Json> {
    match value.text("$ref") {
        Some(reference) => document.at(reference),
        None => Ok(value),
    }
}

/// Media types, and what has them.
fn contents(of: &Json) -> Vec<(&str, &Json)> {
    let contents = of.get("content").map_or(&[][..], Json::members);
    let contents = contents.iter();
    contents
        .map(|(media, content)| (media.as_str(), content))
        .collect()
}

/// A content's kind, with its media type where that is not the usual one.
fn what(media: &str, content: &Json) -> String {
    let schema = content.get("schema");
    match (media, schema.and_then(|schema| schema.text("type"))) {
        (JSON | PROBLEM, _) => schema.map(kind).unwrap_or_default(),
        (_, Some(_)) => format!("`{media}`"),
        _ => format!("`{media}`, {}", schema.map(kind).unwrap_or_default()),
    }
}

/// A content's example, or its schema's, as a block of code.
fn example(document: &Json, content: &Json) -> Result<String> {
    let own = content.get("example");
    let of_schema = match content.get("schema") {
        Some(schema) => resolve(document, schema)?.list("examples").first(),
        None => None,
    };
    match own.or(of_schema) {
        Some(example) => Ok(format!("\n```json\n{}\n```\n", example.pretty()?)),
        None => Ok(String::new()),
    }
}
