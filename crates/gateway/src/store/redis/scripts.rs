//! The two operations that need more than one command, as Lua scripts: a Redis runs each of them
//! atomically. Each uses the one key that it is given, a hash with the fields `version` and `value`.

use redis::Script;

/// The scripts, with the digests by which a Redis caches them.
pub(super) struct Scripts {
    /// `ARGV`: the expected version (empty: the key must be missing), the new version, the new
    /// value. Gives nil if it swapped, else the current version and value (nil, nil: missing).
    pub swap: Script,
    /// `ARGV`: the number to add, the new version. Gives the sum as text (Lua's own numbers are
    /// exact to 53 bits only), or the integer 1 if the value is no number, 2 on overflow; then
    /// nothing changed.
    pub increment: Script,
}

impl Scripts {
    pub fn new() -> Self {
        Self {
            swap: Script::new(SWAP),
            increment: Script::new(INCREMENT),
        }
    }
}

const SWAP: &str = r"
local version = redis.call('HGET', KEYS[1], 'version') or ''
if version ~= ARGV[1] then
  return redis.call('HMGET', KEYS[1], 'version', 'value')
end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'value', ARGV[3])
return false
";

const INCREMENT: &str = r"
local sum = redis.pcall('HINCRBY', KEYS[1], 'value', ARGV[1])
if type(sum) == 'table' then
  if string.find(sum.err, 'not an integer', 1, true) then return 1 end
  if string.find(sum.err, 'overflow', 1, true) then return 2 end
  return sum
end
redis.call('HSET', KEYS[1], 'version', ARGV[2])
return redis.call('HGET', KEYS[1], 'value')
";
