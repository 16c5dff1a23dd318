//! Events: what happened, for those who watch. No part of the state.

/// An event of a transaction or of a block's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Full name of its message in the .proto files, or Cosmos' short name.
    pub kind: String,
    /// Name and value, in the message's order.
    pub attributes: Vec<(String, String)>,
}

impl Event {
    /// An event without attributes yet.
    pub fn new(kind: impl Into<String>) -> Self {
        Self { kind: kind.into(), attributes: Vec::new() }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.attributes.push((name.to_owned(), value.to_string()));
        self
    }
}

/// Makes an [`Event`] from an event message of stoa-proto, so that name and
/// fields cannot drift from its definition.
///
/// `event!(stoa_proto::market::v1::EventBidPlaced { order: id, provider: p, rate: r })`
#[macro_export]
macro_rules! event {
    ($message:ty { $($field:ident : $value:expr),* $(,)? }) => {{
        type Message = $message;
        let message = Message { $($field: ($value).to_string()),* };
        #[allow(unused_mut)]
        let mut event = $crate::event::Event::new($crate::event::full_name::<Message>());
        $( event = event.with(stringify!($field), &message.$field); )*
        event
    }};
}

/// Full protobuf name of a message.
pub fn full_name<M: prost::Name>() -> String {
    M::full_name()
}
