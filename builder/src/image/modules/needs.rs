//! Which module needs which, and an order that follows from it.

use std::collections::HashMap;

use anyhow::{Result, bail};

use super::Module;

/// Fills in `needs` and `rank` of `modules`, from the symbols that each uses; of
/// two that export one symbol the last counts.
pub fn resolve(modules: &mut [Module], uses: &[Vec<String>]) -> Result<()> {
    let mut owners: HashMap<String, usize> = HashMap::new();
    for (at, module) in modules.iter().enumerate() {
        for symbol in &module.facts.exports {
            owners.insert(symbol.clone(), at);
        }
    }
    for (module, uses) in modules.iter_mut().zip(uses) {
        for symbol in uses {
            if let Some(owner) = owners.get(symbol)
                && !module.needs.contains(owner)
            {
                module.needs.push(*owner);
            }
        }
    }
    rank(modules)
}

/// Fills in `rank`: depmod's own order, which the lines of modules.dep are in.
pub fn rank(modules: &mut [Module]) -> Result<()> {
    for (rank, at) in order(modules)?.into_iter().enumerate() {
        modules[at].rank = rank;
    }
    Ok(())
}

/// Every module before those that it needs.
fn order(modules: &[Module]) -> Result<Vec<usize>> {
    let mut users = vec![0usize; modules.len()];
    for at in modules.iter().flat_map(|module| &module.needs) {
        users[*at] += 1;
    }
    let mut free: Vec<usize> = (0..modules.len()).filter(|at| users[*at] == 0).collect();
    let mut order = Vec::with_capacity(modules.len());
    while let Some(at) = free.pop() {
        order.push(at);
        for needed in &modules[at].needs {
            users[*needed] -= 1;
            if users[*needed] == 0 {
                free.push(*needed);
            }
        }
    }
    if order.len() == modules.len() {
        return Ok(order);
    }
    let left = (0..modules.len()).filter(|at| users[*at] > 0);
    let names: Vec<&str> = left.map(|at| modules[at].name.as_str()).collect();
    bail!(
        "kernel modules depend on each other in a circle, so none of them can be loaded: {}",
        names.join(", ")
    )
}

/// All that the modules in `from` need, themselves left out unless needed.
pub fn all_needed(modules: &[Module], from: &[usize]) -> Vec<usize> {
    let mut seen = vec![false; modules.len()];
    let mut found = Vec::new();
    let mut open = from.to_vec();
    while let Some(at) = open.pop() {
        for needed in &modules[at].needs {
            if !seen[*needed] {
                seen[*needed] = true;
                found.push(*needed);
                open.push(*needed);
            }
        }
    }
    found.sort_by_key(|at| modules[*at].rank);
    found
}
