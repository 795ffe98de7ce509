use super::*;

#[test]
fn waves_take_their_share_and_always_the_same_machines() {
    let waves = |shares: &[u8]| -> Vec<Wave> {
        let waves = shares.iter().enumerate();
        let wave = |(start, percent): (usize, &u8)| Wave {
            start: start as u64,
            percent: *percent,
        };
        waves.map(wave).collect()
    };
    let count = |shares: &[u8], until: u64| {
        let machines = (0..1000).map(|number| format!("{number:032x}"));
        let is_in = |machine: &String| match turn(&waves(shares), machine, "node") {
            Turn::At(start) => start <= until,
            Turn::Now => true,
            Turn::Never => false,
        };
        machines.filter(is_in).count()
    };
    assert_eq!(count(&[], 0), 1000);
    assert_eq!(count(&[100], 0), 1000);
    assert_eq!(count(&[0], 9), 0);
    let (first, second) = (count(&[10, 50], 0), count(&[10, 50], 1));
    assert!((70..130).contains(&first), "{first}");
    assert!((450..550).contains(&second), "{second}");
    // Whoever was in a smaller share is in the larger one.
    for number in 0..1000 {
        let machine = format!("{number:032x}");
        let is_in = |share| matches!(turn(&waves(&[share]), &machine, "node"), Turn::At(_));
        assert!(!is_in(10) || is_in(11), "{machine}");
    }
    // No id yet: the last one.
    assert!(matches!(turn(&waves(&[99]), "", "node"), Turn::Never));
    assert!(matches!(turn(&waves(&[100]), "", "node"), Turn::At(0)));
}

#[test]
fn durations_are_short() {
    assert_eq!(duration(5), "1 min");
    assert_eq!(duration(3700), "1 h 1 min");
    assert_eq!(duration(2 * 86_400 + 7200), "2 d 2 h");
}
