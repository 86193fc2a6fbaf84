use models::simulation::{self, End};

const LOGINS: u64 = 100_000;

/// TP-17, TP-18, CB-03, CB-07, CB-12, CB-15, ST-01 to ST-05, ST-09 to ST-12, UP-06, HI-14: whatever fails on the way, no tokens
/// are handed out twice or dead, none are lost that a person was promised, nobody is told what is not so, and every login ends.
#[test]
fn a_hundred_thousand_logins_end_as_they_should() {
    let report = simulation::run(0, LOGINS);
    println!("{report:#?}");
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
    assert!(report.logins() >= LOGINS);
    for end in [End::Finished, End::Denied, End::Expired, End::AnswerLost] {
        assert!(report.ends.contains_key(&end), "no login ended {end:?}");
    }
    for mishap in simulation::MISHAPS {
        assert!(report.mishaps.contains_key(mishap), "{mishap}: never");
    }
}

/// A seed decides everything, so that what it shows can be looked at again.
#[test]
fn a_seed_replays() {
    for seed in 0..10 {
        assert_eq!(simulation::one_world(seed), simulation::one_world(seed), "{seed}");
    }
}
