//! Programs in the kernel: brought there by `aya`, read with each look, gone with this value.

use std::error::Error;

use aya::maps::{MapData, PerCpuArray};
use aya::programs::RawTracePoint;
use aya::{Ebpf, EbpfLoader};

use super::assembly::Map;
use super::programs::{Program, SWITCH, SWITCH_BEFORE};
use super::refused::Refused;
use super::row::{Row, note};
use super::{object, programs};
use crate::snapshot::{Counter, Key, Mode, Of, Snapshot};

/// Programs in the kernel, which count until this is dropped.
pub struct Events {
    /// Holds the programs and what ties them to their tracepoints.
    _programs: Ebpf,
    rows: PerCpuArray<MapData, Row>,
}

impl Events {
    /// Brings the programs into the kernel and begins to count. It takes some hundredths of a second.
    ///
    /// # Errors
    /// What the kernel, or this build, refuses; nothing stays behind then.
    pub fn load() -> Result<Self, Refused> {
        let all = programs::all();
        let object = object::of(&all).map_err(|error| refused("write programs down", error))?;
        let mut ebpf = EbpfLoader::new()
            .load(&object)
            .map_err(|error| refused("make maps for programs in the kernel (bpf)", error))?;
        let rows = ebpf
            .take_map(object::name(Map::Rows))
            .ok_or_else(|| Refused::Kernel { what: "make maps".into(), why: "one is missing".into() })?;
        let rows = PerCpuArray::try_from(rows).map_err(|error| refused("make maps", error))?;
        for program in all.iter().filter(|program| program.name != SWITCH_BEFORE) {
            let begun = begin(&mut ebpf, program);
            let older = all.iter().find(|one| program.name == SWITCH && one.name == SWITCH_BEFORE);
            match (begun, older) {
                (Ok(()), _) => {}
                // A kernel before 5.18 gives that tracepoint fewer arguments than the program reads.
                (Err(Refused::Kernel { .. }), Some(older)) => begin(&mut ebpf, older)?,
                (Err(refused), _) => return Err(refused),
            }
        }
        Ok(Self { _programs: ebpf, rows })
    }

    /// Adds what they counted to what was read: of the cores that run, if that is known.
    ///
    /// # Errors
    /// The kernel does not give it any more.
    pub fn read(&self, into: &mut Snapshot) -> Result<(), Refused> {
        let rows = self.rows.get(&0, 0).map_err(|error| refused("give what was counted", error))?;
        let runs = |core: u32, snapshot: &Snapshot| {
            let key = Key { counter: Counter::Cpu(Mode::Idle), of: Of::Number(core) };
            snapshot.cores() == 0 || snapshot.counters.contains_key(&key)
        };
        for (core, row) in (0..).zip(rows.iter()) {
            if runs(core, into) {
                note(core, row, into);
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

fn begin(ebpf: &mut Ebpf, program: &Program) -> Result<(), Refused> {
    let what = format!("take a program for the tracepoint `{}`", program.tracepoint);
    let found = ebpf.program_mut(program.name);
    let found = found.ok_or_else(|| Refused::Kernel { what: what.clone(), why: "it is not in the object".into() })?;
    let raw: &mut RawTracePoint = found.try_into().map_err(|error| refused(&what, error))?;
    raw.load().map_err(|error| refused(&what, error))?;
    raw.attach(program.tracepoint).map_err(|error| refused(&what, error))?;
    Ok(())
}

fn refused(what: &str, error: impl Error + 'static) -> Refused {
    Refused::of(what, &error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_for_older_kernels_is_taken_where_any_is() {
        let all = programs::all();
        let object = object::of(&all).expect("it can be written down");
        match EbpfLoader::new().load(&object) {
            Ok(mut ebpf) => {
                let older = all.iter().find(|program| program.name == SWITCH_BEFORE).expect("it is one of them");
                begin(&mut ebpf, older).expect("the kernel takes it");
            }
            Err(why) => println!("the kernel refuses: {}", refused("make maps", why)),
        }
    }
}
