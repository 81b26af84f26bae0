//! The life of a domain from its creation to its deletion, with every call of an operator.

use std::time::Duration;

use anonymous_domains_protocol::{ids::DomainName, problem::ErrorName};
use http::Method;
use serde_json::{Value, json};

use super::asker::{Answer, Asker, Expected, Question};
use crate::{
    machine::{self, Machine},
    random::Random,
};

use Expected::{Error, Status};

/// One domain's life. Each step waits for the one before it, so that each has one right answer.
struct Life<'a> {
    asker: &'a Asker,
    domain: &'a DomainName,
    random: &'a mut Random,
    pause: Duration,
    /// A request met an outage and was repeated: then it may have been done before.
    is_repeated: bool,
}

/// Lives the life of a domain that is not there yet, and is not there afterwards. Waits about `pause`
/// after each request.
///
/// # Errors
///
/// When a request cannot be built.
pub async fn live(
    asker: &Asker,
    domain: &DomainName,
    random: &mut Random,
    pause: Duration,
) -> anyhow::Result<()> {
    let machines = machine::make_ec(4);
    let mut life = Life {
        asker,
        domain,
        random,
        pause,
        is_repeated: false,
    };
    life.run(&machines).await
}

impl Life<'_> {
    async fn run(&mut self, machines: &[Machine]) -> anyhow::Result<()> {
        let [a, b, c, d] = machines else {
            anyhow::bail!("a life needs four machines");
        };
        let full = ErrorName::DomLimitReached;
        self.set_maximum(Some(2), &[201, 200]).await?;
        self.joins(a, true, 1).await?;
        self.joins(b, true, 1).await?;
        self.is_refused(c, full).await?;
        let shown = self.admin(Method::GET, "", &[200]).await?;
        self.check(&shown, "/memberCount", &json!(2));
        self.check(&shown, "/maxMembership", &json!(2));

        let blocked = format!("/blocked/{}", a.guid);
        self.admin(Method::PUT, &blocked, &[204]).await?;
        self.is_refused(a, ErrorName::DomRegDenied).await?;
        let list = self.admin(Method::GET, "/blocked", &[200]).await?;
        self.check(&list, "/blocked/0/machineGuid", &json!(a.guid.to_string()));
        let list = self.admin(Method::GET, "/members", &[200]).await?;
        self.check(&list, "/members/0/machineGuid", &json!(b.guid.to_string()));
        self.check(&list, "/members/1", &Value::Null);
        self.joins(b, false, 2).await?;
        self.admin(Method::DELETE, &blocked, &[204]).await?;
        self.joins(a, true, 2).await?;

        self.leaves(b, true).await?;
        self.leaves(b, false).await?;
        self.joins(c, true, 3).await?;
        self.admin(Method::POST, "/rollover", &[202]).await?;
        self.joins(a, false, 4).await?;
        let keys = self.admin(Method::GET, "/keys", &[200]).await?;
        self.check(&keys, "/keys/3/keyVersion", &json!(4));

        self.set_maximum(Some(0), &[200]).await?;
        self.is_refused(d, full).await?;
        self.joins(a, false, 4).await?;
        let server = self.server();
        self.asker.delete(server, self.domain).await?;
        let leave = self.asker.deregister(server, self.domain, a, false)?;
        let denied = [Error(ErrorName::DeregDenied)];
        self.asker.ask(server, &leave, &denied).await?;
        Ok(())
    }

    fn server(&mut self) -> usize {
        self.random.below(self.asker.servers.len())
    }

    async fn ask(
        &mut self,
        server: usize,
        question: &Question,
        expected: &[Expected],
    ) -> anyhow::Result<Option<Answer>> {
        let answer = self.asker.ask(server, question, expected).await?;
        self.is_repeated |= answer.as_ref().is_none_or(|answer| answer.is_repeated);
        self.random.pause_about(self.pause).await;
        Ok(answer)
    }

    async fn admin(
        &mut self,
        method: Method,
        path: &str,
        expected: &[u16],
    ) -> anyhow::Result<Option<Answer>> {
        let kind = match method {
            Method::GET => "admin: read",
            _ => "admin: change",
        };
        let question = Question::admin(kind, method, format_args!("/{}{path}", self.domain));
        let expected: Vec<_> = expected.iter().map(|status| Status(*status)).collect();
        let server = self.server();
        self.ask(server, &question, &expected).await
    }

    async fn set_maximum(&mut self, maximum: Option<u64>, expected: &[u16]) -> anyhow::Result<()> {
        let question = Question::admin(
            "admin: change",
            Method::PUT,
            format_args!("/{}", self.domain),
        )
        .json(&json!({ "maxMembership": maximum }));
        let expected: Vec<_> = expected.iter().map(|status| Status(*status)).collect();
        let server = self.server();
        self.ask(server, &question, &expected).await.map(drop)
    }

    /// A machine joins, or asks again, and gets this newest version.
    async fn joins(&mut self, machine: &Machine, is_new: bool, newest: u64) -> anyhow::Result<()> {
        let server = self.server();
        let question = self.asker.register(server, self.domain, machine)?;
        let question = Question {
            kind: if is_new { "join" } else { "ask again" },
            ..question
        };
        let answer = self.ask(server, &question, &[Status(200)]).await?;
        let is_own_repeat = answer.as_ref().is_some_and(|answer| answer.is_repeated);
        if !is_own_repeat {
            self.check(&answer, "/newMember", &json!(is_new));
        }
        self.check(&answer, "/keyVersion", &json!(newest));
        Ok(())
    }

    async fn is_refused(&mut self, machine: &Machine, error: ErrorName) -> anyhow::Result<()> {
        let server = self.server();
        let question = self.asker.register(server, self.domain, machine)?;
        let question = Question {
            kind: "refused",
            ..question
        };
        self.ask(server, &question, &[Error(error)]).await.map(drop)
    }

    async fn leaves(&mut self, machine: &Machine, preview: bool) -> anyhow::Result<()> {
        let server = self.server();
        let question = self
            .asker
            .deregister(server, self.domain, machine, preview)?;
        // Where it is repeated, it may have left the first time.
        let gone = Error(ErrorName::DeregDenied);
        let answer = self.ask(server, &question, &[Status(200), gone]).await?;
        if answer.is_some_and(|answer| answer.is(gone) && (preview || !answer.is_repeated)) {
            self.wrong("a member cannot leave");
        }
        Ok(())
    }

    fn check(&self, answer: &Option<Answer>, pointer: &str, expected: &Value) {
        let Some(answer) = answer else { return };
        let found = answer.json.pointer(pointer).unwrap_or(&Value::Null);
        // A departure without an answer may count, and then be repeated.
        let is_later_version = self.is_repeated
            && pointer.ends_with("keyVersion")
            && found.as_u64() >= expected.as_u64();
        if found != expected && !is_later_version {
            self.wrong(&format!(
                "{pointer} is {found}, and {expected} was expected: {}",
                answer.json
            ));
        }
    }

    fn wrong(&self, what: &str) {
        self.asker
            .tally
            .wrong(format!("the life of {}: {what}", self.domain));
    }
}
