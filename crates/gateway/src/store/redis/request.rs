//! What is sent to a server: a command or a script, for one key.

use redis::{
    Cmd, RedisResult, Script, ServerErrorKind, ToRedisArgs, Value, aio::MultiplexedConnection,
};

use super::slot::{Slot, slot};

/// A command or a script for one key.
pub(super) struct Request<'a> {
    command: Cmd,
    slot: Slot,
    script: Option<&'a Script>,
}

impl<'a> Request<'a> {
    /// The command `name` for `key`.
    pub fn command(name: &str, key: &str) -> Self {
        let mut command = redis::cmd(name);
        command.arg(key);
        Self {
            command,
            slot: slot(key.as_bytes()),
            script: None,
        }
    }

    /// The script, called for `key`.
    pub fn script(script: &'a Script, key: &str) -> Self {
        let mut command = redis::cmd("EVALSHA");
        command.arg(script.get_hash()).arg(1).arg(key);
        Self {
            command,
            slot: slot(key.as_bytes()),
            script: Some(script),
        }
    }

    /// With one more argument, or several.
    pub fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.command.arg(argument);
        self
    }

    /// Where a cluster keeps the key.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Sends it, once. A server that does not know the script did not run it: then it is sent in
    /// full and called again. With `asking`, a node serves it that does not have the slot yet.
    pub async fn send(
        &self,
        connection: &mut MultiplexedConnection,
        asking: bool,
    ) -> RedisResult<Value> {
        let answer = self.call(connection, asking).await;
        match (answer, self.script) {
            (Err(error), Some(script)) if error.kind() == ServerErrorKind::NoScript.into() => {
                script.load_async(connection).await?;
                self.call(connection, asking).await
            }
            (answer, _) => answer,
        }
    }

    async fn call(
        &self,
        connection: &mut MultiplexedConnection,
        asking: bool,
    ) -> RedisResult<Value> {
        if !asking {
            return self.command.query_async(connection).await;
        }
        // It is for the next command on the connection, and other requests use this connection too.
        // A pipeline's commands are sent together.
        let mut together = redis::pipe();
        together.cmd("ASKING").add_command(self.command.clone());
        let answers = connection.send_packed_commands(&together, 0, 2).await?;
        let answer = answers.into_iter().nth(1).unwrap_or(Value::Nil);
        answer.extract_error()
    }
}
