//! Setting the parameters.

use cosmos_sdk_proto::cosmos::mint::v1beta1 as pb;

use super::{keys, Params};
use crate::modules::update_params::update_params;

update_params! {
    /// Sets the parameters, as governance has decided.
    pb, Params, keys::params
}
