//! Secrets into what is to run.

use stoa_client::sealing::Values;
use stoa_manifest::secret_of;

use super::Secrets;
use crate::reconcile::ServiceGoal;
use crate::runtime::SecretVariable;

/// Gives each variable that names a secret its value.
///
/// # Errors
/// The secret that is not there.
pub fn put_into(
    services: &mut [ServiceGoal],
    values: &Values,
    secrets: &Secrets,
) -> Result<(), String> {
    for spec in services.iter_mut().flat_map(|service| &mut service.instances) {
        let mut variables = vec![];
        for (variable, name) in spec.env.iter().filter_map(|entry| secret_of(entry)) {
            let value = values.get(name).ok_or_else(|| format!("the secret {name} is not here"))?;
            let tag = secrets.tag(variable, value);
            variables.push(SecretVariable::new(variable, value.clone(), tag));
        }
        spec.env.retain(|entry| secret_of(entry).is_none());
        spec.secrets = variables;
    }
    Ok(())
}
