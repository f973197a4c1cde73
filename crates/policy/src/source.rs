//! Who answers the tests that need more than the data, and the loops that ask.

use std::future::Future;

use crate::data::Data;
use crate::error::EvalError;
use crate::outcome::Outcome;
use crate::ruleset::TestCall;
use crate::run::{Next, Run};

/// Answers tests that need more than the data.
pub trait TestSource {
    /// Why a test could not be answered.
    type Error;
    /// The result of the test.
    fn test(&mut self, call: &TestCall, data: &Data) -> Result<bool, Self::Error>;
}

/// Like [`TestSource`], for answers that must be waited for.
pub trait AsyncTestSource {
    /// Why a test could not be answered.
    type Error;
    /// The result of the test.
    fn test(
        &mut self,
        call: &TestCall,
        data: &Data,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;
}

/// A source for policies of generic tests only: anything asked of it is false.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTests;

impl TestSource for NoTests {
    type Error = std::convert::Infallible;

    fn test(&mut self, _: &TestCall, _: &Data) -> Result<bool, Self::Error> {
        Ok(false)
    }
}

/// Why an evaluation ended without an outcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError<E> {
    /// The policy itself is at fault.
    #[error(transparent)]
    Policy(#[from] EvalError),
    /// A test could not be answered.
    #[error("policy test failed")]
    Test(#[source] E),
}

impl Run<'_> {
    /// Runs to the end, asking `source`.
    pub fn complete<S: TestSource>(
        mut self,
        source: &mut S,
    ) -> Result<Outcome, RunError<S::Error>> {
        let data = self.data();
        while let Next::Ask(call) = self.advance()? {
            let value = source.test(call, data).map_err(RunError::Test)?;
            self.answer(value);
        }
        Ok(self.finish())
    }

    /// Runs to the end, waiting for the answers of `source`.
    pub async fn complete_async<S: AsyncTestSource>(
        mut self,
        source: &mut S,
    ) -> Result<Outcome, RunError<S::Error>> {
        let data = self.data();
        while let Next::Ask(call) = self.advance()? {
            let value = source.test(call, data).await.map_err(RunError::Test)?;
            self.answer(value);
        }
        Ok(self.finish())
    }
}
