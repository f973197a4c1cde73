//! RPM tags by number and by name.

mod table;

/// The type in which a tag's values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bytes that are numbers.
    Char,
    /// 16-bit numbers.
    Int16,
    /// 32-bit numbers.
    Int32,
    /// 64-bit numbers.
    Int64,
    /// Strings.
    Str,
    /// Strings with one value for each locale.
    I18n,
    /// Raw bytes.
    Bin,
}

/// What is known about a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// Number in the index of a header.
    pub number: u32,
    /// Name in upper case, without a prefix.
    pub name: &'static str,
    /// Type of its values.
    pub kind: Kind,
    /// True if the value is always a list.
    pub list: bool,
}

impl Tag {
    /// The tag with this number.
    pub fn by_number(number: u32) -> Option<&'static Self> {
        let index = table::TABLE.binary_search_by_key(&number, |tag| tag.number).ok()?;
        table::TABLE.get(index)
    }

    /// The tag with this name, in any case, also by a second name such as `requires`.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        let name = name.to_ascii_uppercase();
        let name = table::ALIASES
            .iter()
            .find(|(alias, _)| *alias == name)
            .map_or(name.as_str(), |(_, canonical)| canonical);
        table::TABLE.iter().find(|tag| tag.name == name)
    }

    /// The name under which a list of a package's tags shows it, which for some is the second one.
    pub fn listed_name(&self) -> &'static str {
        table::ALIASES
            .iter()
            .find(|(alias, name)| *name == self.name && is_listed(alias))
            .map_or(self.name, |(alias, _)| alias)
    }
}

fn is_listed(alias: &str) -> bool {
    alias.len() > 1 && !alias.starts_with("OLD") && alias != "HDRID" && alias != "PKGID"
}

macro_rules! numbers {
    ($($name:ident = $number:literal,)+) => {
        $(#[doc = concat!("Tag number ", stringify!($number), ".")] pub const $name: u32 = $number;)+

        #[cfg(test)]
        const NAMED: &[(&str, u32)] = &[$((stringify!($name), $number),)+];
    };
}

numbers! {
    HEADERSIGNATURES = 62, HEADERIMMUTABLE = 63, HEADERI18NTABLE = 100,
    SIGSIZE = 257, SIGPGP = 259, SIGMD5 = 261, SIGGPG = 262, DSAHEADER = 267, RSAHEADER = 268,
    SHA1HEADER = 269, LONGSIGSIZE = 270, LONGARCHIVESIZE = 271, SHA256HEADER = 273,
    VERITYSIGNATURES = 276, VERITYSIGNATUREALGO = 277, OPENPGP = 278, SHA3_256HEADER = 279,
    NAME = 1000, VERSION = 1001, RELEASE = 1002, EPOCH = 1003, SUMMARY = 1004, DESCRIPTION = 1005,
    BUILDTIME = 1006, BUILDHOST = 1007, SIZE = 1009, VENDOR = 1011, LICENSE = 1014, PACKAGER = 1015,
    GROUP = 1016, URL = 1020, ARCH = 1022, PREIN = 1023, POSTIN = 1024, PREUN = 1025, POSTUN = 1026,
    OLDFILENAMES = 1027, FILESIZES = 1028, FILEMODES = 1030, FILERDEVS = 1033, FILEMTIMES = 1034,
    FILEDIGESTS = 1035, FILELINKTOS = 1036, FILEFLAGS = 1037, FILEUSERNAME = 1039,
    FILEGROUPNAME = 1040, SOURCERPM = 1044, FILEVERIFYFLAGS = 1045, ARCHIVESIZE = 1046,
    PROVIDENAME = 1047, REQUIREFLAGS = 1048, REQUIRENAME = 1049, REQUIREVERSION = 1050,
    NOSOURCE = 1051, NOPATCH = 1052, CONFLICTFLAGS = 1053, CONFLICTNAME = 1054,
    CONFLICTVERSION = 1055, EXCLUDEARCH = 1059, EXCLUSIVEARCH = 1061, TRIGGERSCRIPTS = 1065,
    TRIGGERNAME = 1066, VERIFYSCRIPT = 1079,
    CHANGELOGTIME = 1080, CHANGELOGNAME = 1081, CHANGELOGTEXT = 1082, BUILDARCHS = 1089,
    PREINPROG = 1085, POSTINPROG = 1086, PREUNPROG = 1087, POSTUNPROG = 1088,
    OBSOLETENAME = 1090, VERIFYSCRIPTPROG = 1091, FILEDEVICES = 1095, FILEINODES = 1096,
    FILELANGS = 1097, SOURCEPACKAGE = 1106,
    PROVIDEFLAGS = 1112, PROVIDEVERSION = 1113, OBSOLETEFLAGS = 1114, OBSOLETEVERSION = 1115,
    DIRINDEXES = 1116, BASENAMES = 1117, DIRNAMES = 1118, ORIGDIRINDEXES = 1119,
    ORIGBASENAMES = 1120, ORIGDIRNAMES = 1121, PAYLOADFORMAT = 1124, PAYLOADCOMPRESSOR = 1125,
    FILECOLORS = 1140, FILECLASS = 1141, CLASSDICT = 1142, PRETRANS = 1151, POSTTRANS = 1152,
    PRETRANSPROG = 1153, POSTTRANSPROG = 1154,
    OLDSUGGESTSNAME = 1156, OLDSUGGESTSVERSION = 1157, OLDSUGGESTSFLAGS = 1158,
    OLDENHANCESNAME = 1159, OLDENHANCESVERSION = 1160, OLDENHANCESFLAGS = 1161,
    NVRA = 1196, FILENAMES = 5000, ORIGFILENAMES = 5007, LONGFILESIZES = 5008, LONGSIZE = 5009,
    FILEDIGESTALGO = 5011, EVR = 5013, NVR = 5014, NEVR = 5015, NEVRA = 5016, HEADERCOLOR = 5017,
    EPOCHNUM = 5019, REQUIRENEVRS = 5041, PROVIDENEVRS = 5042, OBSOLETENEVRS = 5043,
    CONFLICTNEVRS = 5044, RECOMMENDNAME = 5046, RECOMMENDVERSION = 5047, RECOMMENDFLAGS = 5048,
    SUGGESTNAME = 5049, SUGGESTVERSION = 5050, SUGGESTFLAGS = 5051, SUPPLEMENTNAME = 5052,
    SUPPLEMENTVERSION = 5053, SUPPLEMENTFLAGS = 5054, ENHANCENAME = 5055, ENHANCEVERSION = 5056,
    ENHANCEFLAGS = 5057, RECOMMENDNEVRS = 5058, SUGGESTNEVRS = 5059, SUPPLEMENTNEVRS = 5060,
    ENHANCENEVRS = 5061, FILETRIGGERSCRIPTS = 5066, TRANSFILETRIGGERSCRIPTS = 5076,
    FILESIGNATURES = 5090, FILESIGNATURELENGTH = 5091,
    PAYLOADSHA256 = 5092, PAYLOADSHA256ALGO = 5093, PAYLOADSHA256ALT = 5097, ARCHSUFFIX = 5098,
    PREUNTRANS = 5103, POSTUNTRANS = 5104, PREUNTRANSPROG = 5105, POSTUNTRANSPROG = 5106,
    RPMFORMAT = 5114, PAYLOADSHA512 = 5121, PAYLOADSHA3_256 = 5123,
}

/// Numbers that mean something else in a signature header than in a main header.
pub mod signature {
    /// Size of header and payload.
    pub const SIZE: u32 = 1000;
    /// OpenPGP signature (RSA) of header and payload.
    pub const PGP: u32 = 1002;
    /// MD5 of header and payload.
    pub const MD5: u32 = 1004;
    /// OpenPGP signature (DSA or newer) of header and payload.
    pub const GPG: u32 = 1005;
    /// Uncompressed size of the payload.
    pub const PAYLOADSIZE: u32 = 1007;
    /// Room for signatures, in packages of RPM 4.14 and newer.
    pub const RESERVEDSPACE: u32 = 1008;
    /// Room for signatures, in packages of RPM 6.
    pub const RESERVED: u32 = 999;
    /// Signatures of files, moved to [`super::FILESIGNATURES`].
    pub const FILESIGNATURES: u32 = 274;
    /// Length of a file's signature, moved to [`super::FILESIGNATURELENGTH`].
    pub const FILESIGNATURELENGTH: u32 = 275;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_agrees_with_the_constants() {
        assert!(table::TABLE.is_sorted_by(|a, b| a.number < b.number));
        for (name, number) in NAMED {
            let tag = Tag::by_number(*number).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(tag.name, *name);
        }
        for (alias, canonical) in table::ALIASES {
            let tag = Tag::by_name(alias).unwrap_or_else(|| panic!("{alias}"));
            assert_eq!(tag.name, *canonical);
        }
    }

    #[test]
    fn names_have_no_case() {
        assert_eq!(Tag::by_name("filemd5s").unwrap().number, FILEDIGESTS);
        assert_eq!(Tag::by_number(1049).unwrap().listed_name(), "REQUIRES");
        assert_eq!(Tag::by_number(1000).unwrap().listed_name(), "NAME");
        assert!(Tag::by_name("nosuch").is_none());
    }
}
