//! Uploads, and the output files of tasks.

use toji_api_macros::rpcs;
use toji_value::Value;

rpcs! {
    area upload;

    /// Writes a part of a file below the hub's work directory.
    ///
    /// `data` is base64; `offset` -1 means the last part, and `size` then the size of the file.
    /// Answers false when size or checksum do not fit.
    #[access(login)]
    write uploadFile(
        path: String, name: String, size: Value, md5sum: Value, offset: Value, data: Value,
        volume: Option<String> = None, checksum: Value = None,
    ) -> bool;

    /// Returns size, time and (asked for by `verify`) checksum of an uploaded file, or nil.
    ///
    /// `tail` limits the checksum to the last bytes.
    #[access(anonymous)]
    read checkUpload(
        path: String, name: String, verify: Option<String> = None, tail: Option<i64> = None,
        volume: Option<String> = None,
    ) -> Value;

    /// Returns a part of a task's output file as base64; a negative offset counts from the end.
    #[access(anonymous)]
    read downloadTaskOutput(
        taskID: i64, fileName: String, offset: Value = 0, size: i64 = -1,
        volume: Value = None,
    ) -> String;

    /// Returns the names of a task's output files, or a struct with sizes and times.
    #[access(anonymous)]
    #[python("list_task_output")]
    read listTaskOutput(
        taskID: i64, stat: bool = false, all_volumes: bool = false, strict: bool = false,
    ) -> Value;
}
