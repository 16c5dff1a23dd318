//! Any frame: it is refused, or read as the message whose frame it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoa_swarm::wire::Message;

fuzz_target!(|frame: &[u8]| {
    if let Ok(message) = Message::decode(frame) {
        let mut again = vec![];
        message.encode(&mut again);
        assert_eq!(again, frame);
    }
});
