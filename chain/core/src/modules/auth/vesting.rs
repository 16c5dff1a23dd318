//! Accounts whose first coins come free over time.
//!
//! Locked coins cannot be sent, but can be delegated. What is delegated counts
//! as vesting first, and what comes back counts as free first, so that an
//! account that delegates can never spend more than one that does not.
//!
//! Source: x/auth/vesting of the Cosmos SDK. What has vested is rounded down.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::types::{mul_div_floor, Amount, Coin, Coins, Denom};

/// Most periods of one account; each transaction of the account reads them.
pub const MAX_PERIODS: usize = 120;

/// What of an account's coins is locked, and until when.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vesting {
    /// What was locked at the beginning.
    pub original: Coins,
    /// Delegated of what was free when it was delegated.
    #[serde(default)]
    pub delegated_free: Coins,
    /// Delegated of what was locked when it was delegated.
    #[serde(default)]
    pub delegated_vesting: Coins,
    /// When it comes free.
    pub schedule: Schedule,
}

/// When coins come free. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Schedule {
    /// Evenly between two times.
    Continuous {
        /// Nothing is free until then.
        start: u64,
        /// All is free from then on.
        end: u64,
    },
    /// All at one time.
    Delayed {
        /// When.
        end: u64,
    },
    /// At the end of each period its own part.
    Periodic {
        /// When the first begins.
        start: u64,
        /// One after the other; their parts make up the whole.
        periods: Vec<Period>,
    },
    /// Never.
    Locked,
}

/// A period and what comes free at its end.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// Seconds.
    pub length: u64,
    /// What comes free.
    pub amount: Coins,
}

impl Vesting {
    /// Coins that come free by this schedule, of which none are delegated yet.
    pub fn new(original: Coins, schedule: Schedule) -> Self {
        let (delegated_free, delegated_vesting) = (Coins::new(), Coins::new());
        Self { original, delegated_free, delegated_vesting, schedule }
    }

    /// What is wrong with it.
    ///
    /// # Errors
    /// Nothing locked, times in the wrong order, or periods that are too many,
    /// endless, empty or not the whole.
    pub fn validate(&self) -> Result<(), String> {
        if self.original.is_empty() {
            return Err("nothing vests; name the coins in `original`".to_owned());
        }
        for coin in self.delegated_vesting.iter() {
            if coin.amount > self.original.of(&coin.denom) {
                return Err(format!("{coin} of vesting coins are delegated, more than vest"));
            }
        }
        match &self.schedule {
            Schedule::Continuous { start, end } if start >= end => {
                Err(format!("vesting ends at {end}, not after its start {start}"))
            }
            Schedule::Periodic { start, periods } => self.check_periods(*start, periods),
            _ => Ok(()),
        }
    }

    fn check_periods(&self, start: u64, periods: &[Period]) -> Result<(), String> {
        if periods.is_empty() || periods.len() > MAX_PERIODS {
            return Err(format!("{} periods; 1 to {MAX_PERIODS} are allowed", periods.len()));
        }
        let (mut end, mut sum) = (start, Coins::new());
        for period in periods {
            if period.length == 0 || period.amount.is_empty() {
                return Err("a period lasts at least a second and frees some coins".to_owned());
            }
            end = end.checked_add(period.length).ok_or("the periods never end")?;
            for coin in period.amount.iter() {
                sum.checked_add(&coin).ok_or("the periods' coins overflow")?;
            }
        }
        if sum != self.original {
            return Err(format!("the periods free {sum}; {} vest", self.original));
        }
        Ok(())
    }

    /// When all is free; 0 where it never is.
    pub fn end(&self) -> u64 {
        match &self.schedule {
            Schedule::Continuous { end, .. } | Schedule::Delayed { end } => *end,
            Schedule::Periodic { start, periods } => {
                periods.iter().fold(*start, |end, period| end.saturating_add(period.length))
            }
            Schedule::Locked => 0,
        }
    }

    /// What of the original coins has come free by `now`.
    pub fn vested(&self, denom: &Denom, now: u64) -> Amount {
        let original = self.original.of(denom);
        match &self.schedule {
            Schedule::Continuous { start, end } => {
                let (passed, whole) = (now.saturating_sub(*start), end.saturating_sub(*start));
                if passed >= whole {
                    return original;
                }
                let part = mul_div_floor(original.raw(), passed.into(), whole.into());
                Amount::from_raw(part.unwrap_or_default())
            }
            Schedule::Delayed { end } if now >= *end => original,
            Schedule::Periodic { start, periods } => freed(*start, periods, denom, now),
            Schedule::Delayed { .. } | Schedule::Locked => Amount::ZERO,
        }
    }

    /// What has not come free by `now`.
    pub fn vesting(&self, denom: &Denom, now: u64) -> Amount {
        self.original.of(denom).saturating_sub(self.vested(denom, now))
    }

    /// What of the account's balance cannot be spent at `now`: what is vesting
    /// and not delegated.
    pub fn locked(&self, denom: &Denom, now: u64) -> Amount {
        self.vesting(denom, now).saturating_sub(self.delegated_vesting.of(denom))
    }

    /// Notes a delegation: of what is locked as far as that goes.
    pub fn track_delegation(&mut self, coin: &Coin, now: u64) {
        let vesting = self.locked(&coin.denom, now).min(coin.amount);
        add(&mut self.delegated_vesting, &coin.denom, vesting);
        add(&mut self.delegated_free, &coin.denom, coin.amount.saturating_sub(vesting));
    }

    /// Notes what comes back from a delegation: of what was free as far as that
    /// goes. After a slash it is less than was delegated; the rest stays noted
    /// as delegated.
    pub fn track_undelegation(&mut self, coin: &Coin) {
        let free = self.delegated_free.of(&coin.denom).min(coin.amount);
        let rest = coin.amount.saturating_sub(free);
        let vesting = self.delegated_vesting.of(&coin.denom).min(rest);
        let denom = &coin.denom;
        let left = self.delegated_free.of(denom).saturating_sub(free);
        self.delegated_free.set(denom.clone(), left);
        let left = self.delegated_vesting.of(denom).saturating_sub(vesting);
        self.delegated_vesting.set(denom.clone(), left);
    }
}

fn add(coins: &mut Coins, denom: &Denom, amount: Amount) {
    coins.set(denom.clone(), coins.of(denom).saturating_add(amount));
}

/// What the periods that are over by `now` have freed.
fn freed(start: u64, periods: &[Period], denom: &Denom, now: u64) -> Amount {
    let (mut end, mut sum) = (start, Amount::ZERO);
    for period in periods {
        end = end.saturating_add(period.length);
        if end > now {
            break;
        }
        sum = sum.saturating_add(period.amount.of(denom));
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{coin, ustoa};

    fn coins(amount: u128) -> Coins {
        [coin(amount)].into_iter().collect()
    }

    fn locked(vesting: &Vesting, now: u64) -> u128 {
        vesting.locked(&ustoa(), now).raw()
    }

    #[test]
    fn each_schedule_frees_coins_in_its_own_way() {
        let continuous = Vesting::new(coins(100), Schedule::Continuous { start: 10, end: 20 });
        assert_eq!(
            [0, 10, 13, 19, 20, 99].map(|t| locked(&continuous, t)),
            [100, 100, 70, 10, 0, 0]
        );
        let delayed = Vesting::new(coins(100), Schedule::Delayed { end: 20 });
        assert_eq!([0, 19, 20].map(|t| locked(&delayed, t)), [100, 100, 0]);
        let periods = [(10, 60), (5, 40)].map(|(length, n)| Period { length, amount: coins(n) });
        let periodic =
            Vesting::new(coins(100), Schedule::Periodic { start: 10, periods: periods.into() });
        assert_eq!([19, 20, 24, 25].map(|t| locked(&periodic, t)), [100, 40, 40, 0]);
        assert_eq!(periodic.end(), 25);
        let forever = Vesting::new(coins(100), Schedule::Locked);
        assert_eq!(locked(&forever, u64::MAX), 100);
    }

    // The SDK's own example: 100 original, 50 vested, delegations of either kind.
    #[test]
    fn delegations_take_what_is_locked_first_and_give_back_what_is_free_first() {
        let mut vesting = Vesting::new(coins(100), Schedule::Continuous { start: 0, end: 100 });
        vesting.track_delegation(&coin(60), 50);
        assert_eq!(vesting.delegated_vesting, coins(50));
        assert_eq!(vesting.delegated_free, coins(10));
        assert_eq!(locked(&vesting, 50), 0);
        vesting.track_undelegation(&coin(20));
        assert_eq!(vesting.delegated_free, Coins::new());
        assert_eq!(vesting.delegated_vesting, coins(40));
        assert_eq!(locked(&vesting, 50), 10);
        vesting.track_undelegation(&coin(40));
        assert_eq!(locked(&vesting, 50), 50);
        // More than was delegated comes back only as free coins.
        vesting.track_undelegation(&coin(5));
        assert_eq!(locked(&vesting, 50), 50);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let periodic = |periods: &[(u64, u128)]| {
            let period = |(length, n): &(u64, u128)| Period { length: *length, amount: coins(*n) };
            let periods = periods.iter().map(period).collect();
            Vesting::new(coins(100), Schedule::Periodic { start: 1, periods }).validate()
        };
        assert_eq!(periodic(&[(1, 60), (1, 40)]), Ok(()));
        assert!(periodic(&[(1, 60)]).is_err());
        assert!(periodic(&[(0, 60), (1, 40)]).is_err());
        assert!(periodic(&[(u64::MAX, 60), (1, 40)]).is_err());
        assert!(periodic(&vec![(1, 1); MAX_PERIODS + 1]).is_err());
        assert!(Vesting::new(coins(1), Schedule::Continuous { start: 5, end: 5 })
            .validate()
            .is_err());
        assert!(Vesting::new(Coins::new(), Schedule::Locked).validate().is_err());
    }

    proptest! {
        // Whatever is delegated and comes back, nobody can spend more than without it.
        #[test]
        fn delegating_frees_nothing(steps in prop::collection::vec((0..100u64, 0..60u128, any::<bool>()), 0..30)) {
            let mut account = crate::modules::auth::Account::new(0, coins(150));
            account.vesting =
                Some(Vesting::new(coins(100), Schedule::Continuous { start: 0, end: 100 }));
            let (mut now, mut delegated) = (0, 0u128);
            for (pass, amount, back) in steps {
                now = (now + pass / 10).min(100);
                let vesting = account.vesting.as_mut().unwrap();
                if back {
                    let amount = amount.min(delegated);
                    delegated -= amount;
                    vesting.track_undelegation(&coin(amount));
                } else {
                    let amount = amount.min(150 - delegated);
                    delegated += amount;
                    vesting.track_delegation(&coin(amount), now);
                }
                account.balances = coins(150 - delegated);
                let free = 50 + vesting.vested(&ustoa(), now).raw();
                prop_assert!(account.spendable(&ustoa(), now).raw() <= free);
            }
        }
    }
}
