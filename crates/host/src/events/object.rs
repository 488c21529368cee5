//! Programs and maps as the one form in which loaders take them: an ELF object, as a compiler would write it.

use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionKind, SymbolFlags, SymbolKind, SymbolScope, elf,
};

use super::assembly::Map;
use super::programs::Program;
use super::row::LENGTH;

/// What a map is called in the object, and afterwards.
pub(super) const fn name(map: Map) -> &'static str {
    match map {
        Map::Rows => "ROWS",
        Map::Waiting => "WAITING",
    }
}

/// The object as bytes; the error is the writer's.
pub(super) fn of(programs: &[Program]) -> Result<Vec<u8>, object::write::Error> {
    let endianness = if cfg!(target_endian = "big") { Endianness::Big } else { Endianness::Little };
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, endianness);
    let license = object.add_section(Vec::new(), b"license".to_vec(), SectionKind::Data);
    object.append_section_data(license, LICENSE, 1);
    let maps = object.add_section(Vec::new(), b"maps".to_vec(), SectionKind::Data);
    let [rows, waiting] = [Map::Rows, Map::Waiting].map(|map| add_map(&mut object, maps, map));
    for program in programs {
        let kind = format!("raw_tp/{}", program.name);
        let section = object.add_section(Vec::new(), kind.into_bytes(), SectionKind::Text);
        object.append_section_data(section, &program.code.bytes, 8);
        object.add_symbol(Symbol {
            name: program.name.as_bytes().to_vec(),
            value: 0,
            size: program.code.bytes.len() as u64,
            kind: SymbolKind::Text,
            scope: SymbolScope::Dynamic,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        });
        for (at, map) in &program.code.maps {
            let symbol = match map {
                Map::Rows => rows,
                Map::Waiting => waiting,
            };
            let flags = RelocationFlags::Elf { r_type: elf::R_BPF_64_64 };
            object.add_relocation(section, Relocation { offset: *at as u64, symbol, addend: 0, flags })?;
        }
    }
    object.write()
}

fn add_map(object: &mut Object<'_>, section: SectionId, map: Map) -> SymbolId {
    // Kind, bytes of a key, bytes of a value, how many, flags.
    let numbers: [u32; 5] = match map {
        Map::Rows => [PERCPU_ARRAY, 4, ROW_BYTES, 1, 0],
        Map::Waiting => [LRU_HASH, 8, 8, MOST_WAITING, 0],
    };
    let bytes = numbers.map(u32::to_ne_bytes).concat();
    let value = object.append_section_data(section, &bytes, 4);
    object.add_symbol(Symbol {
        name: name(map).as_bytes().to_vec(),
        value,
        size: bytes.len() as u64,
        kind: SymbolKind::Data,
        scope: SymbolScope::Dynamic,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    })
}

#[expect(clippy::cast_possible_truncation, reason = "a row is short")]
const ROW_BYTES: u32 = LENGTH as u32 * 8;
/// Ours; the kernel asks for the GPL only of programs that use what is marked so.
const LICENSE: &[u8] = b"Apache-2.0\0";
/// The kernel's numbers of kinds of maps: `BPF_MAP_TYPE_PERCPU_ARRAY`, `BPF_MAP_TYPE_LRU_HASH`.
const PERCPU_ARRAY: u32 = 6;
const LRU_HASH: u32 = 9;
/// Tasks that are remembered; of more, those that ran longest ago are forgotten. Source: ours; more tasks than run in ten seconds on
/// most hosts.
const MOST_WAITING: u32 = 16_384;
