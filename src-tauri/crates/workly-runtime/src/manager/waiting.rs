//! Waiting for what may not be there: for nothing at all, forever.

use std::future::pending;
use std::pin::Pin;

use workly_engine::worker::{Call, CallEvent};

/// Something under way.
pub(crate) type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Waits for something that may not be under way; once it is there it is no longer waited for.
pub(crate) async fn later<T>(waited_for: &mut Option<Later<T>>) -> T {
    match waited_for {
        Some(future) => {
            let value = future.await;
            *waited_for = None;
            value
        }
        None => pending().await,
    }
}

/// What a worker says next to a call.
pub(crate) async fn heard_of(call: Option<&mut Call>) -> CallEvent {
    match call {
        Some(call) => call.next().await,
        None => pending().await,
    }
}
