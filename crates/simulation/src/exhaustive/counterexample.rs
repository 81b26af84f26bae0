//! Counterexamples: the schedule of a violation, replayed with a trace.

use std::rc::Rc;

use super::{
    exploration::{Exploration, Failure, check_end},
    state::{Action, Path},
};
use crate::{
    execution::{Execution, Next},
    host::{Fault, TaskId},
    violation::Violation,
};

/// Replays the schedule that led to a violation.
pub fn counterexample(
    exploration: &Exploration,
    path: Option<&Rc<Path>>,
    violation: Violation,
) -> Box<Failure> {
    let path = Path::to_actions(path);
    let mut execution = match exploration.begin(true) {
        Ok(execution) => execution,
        Err(failure) => return failure,
    };
    let callers: Vec<Vec<TaskId>> = exploration
        .callers
        .iter()
        .map(|ops| ops.iter().map(|op| execution.add(op.clone())).collect())
        .collect();
    let _ = path
        .iter()
        .try_for_each(|action| replay(&mut execution, &callers, *action))
        .and_then(|()| check_end(&mut execution));
    let trace = execution.runtime.take_trace();
    Box::new(Failure { violation, trace })
}

fn replay(
    execution: &mut Execution,
    callers: &[Vec<TaskId>],
    action: Action,
) -> Result<(), Violation> {
    let in_flight = |execution: &Execution, caller: usize| {
        let mut tasks = callers[caller].iter().copied();
        tasks.find(|task| execution.next(*task) != Next::Ended)
    };
    let step = |execution: &mut Execution, caller, fault| -> Result<_, Violation> {
        let Some(task) = in_flight(execution, caller) else {
            return Ok(None);
        };
        if execution.next(task) == Next::Run {
            execution.step(task, Fault::None)?;
        }
        execution.step(task, fault)?;
        Ok(Some(task))
    };
    // Where unused keys are not allowed, the search has checked it.
    execution.model.allowances.unused_keys = true;
    match action {
        Action::Step(caller, fault) => {
            if let Some(task) = step(execution, caller, fault)?
                && execution.next(task) == Next::Run
            {
                execution.step(task, Fault::None)?;
            }
        }
        Action::StepAndCrash(caller) => {
            if let Some(task) = step(execution, caller, Fault::None)? {
                execution.crash(task);
            }
        }
        Action::Settle(nth, applies) => execution.settle(nth, applies)?,
    }
    Ok(())
}
