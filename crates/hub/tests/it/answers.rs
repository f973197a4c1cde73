//! Answers that a Koji hub was found to give to the same calls: options, odd arguments, order of members.

use toji_db::Db;
use toji_testkit::both_databases;
use toji_value::{Map, Value, list, map};

use super::office::{Office, Who, column};

/// The keywords of a filtered call.
fn by(options: impl Into<Value>) -> Map {
    map! { "filterOpts" => options.into() }
}

both_databases! {
    async fn results_are_filtered_as_python_slices_them(db: Db) {
        let office = Office::new(db, |_| {}).await;
        let all = office.boss("listChannels", list![]).await;
        let names = column(&all, "name");
        let named = |options: Map| office.boss_kw("filterResults", list!["listChannels"], by(options));
        let cut = column(&named(map! { "offset" => -2 }).await, "name");
        assert_eq!(cut, names[names.len() - 2..]);
        let cut = column(&named(map! { "limit" => -1 }).await, "name");
        assert_eq!(cut, names[..names.len() - 1]);
        let cut = column(&named(map! { "order" => "-name", "offset" => 1, "limit" => 2 }).await, "name");
        let mut sorted = names.clone();
        sorted.sort_by(|a, b| b.cmp(a));
        assert_eq!(cut, sorted[1..3]);
        for (options, text) in [
            (Value::from(map! { "order" => "name,id" }), "1000: Invalid order: name,id"),
            (map! { "order" => "bogus" }.into(), "1000: Invalid order: bogus"),
            (Value::Nil, "1019: filterOpts must be a struct: None"),
            (map! { "limit" => "2" }.into(), "1019: slice indices must be integers or None: '2'"),
        ] {
            let said = office.fault(Who::Boss, "filterResults", list!["listChannels"], by(options)).await;
            assert_eq!(said, text);
        }
        let said = office.fault(Who::Boss, "countAndFilterResults", list!["echo", 1], by(Map::new())).await;
        assert_eq!(said, "1000: echo() did not return a list");
    }

    async fn rows_come_as_lists_in_the_order_of_their_names(db: Db) {
        let office = Office::new(db, |_| {}).await;
        let opts = map! { "order" => "id", "asList" => true };
        let users = office.boss_kw("listUsers", list![], map! { "queryOpts" => opts.clone() }).await;
        let id = office.boss("getUser", list!["boss"]).await.get("id").clone();
        assert_eq!(users.as_array().unwrap()[0], list![id.clone(), list![], "boss", 0, 0]);

        office.boss("createTag", list!["shelf"]).await;
        office.boss("createBuildTarget", list!["shelf", "shelf", "shelf"]).await;
        let task = office.boss("newRepo", list!["shelf"]).await;
        let fields = list!["method", "id"];
        let none = office.boss_kw("scheduler.getTaskRuns", list![list![], fields.clone()], map! { "opts" => opts.clone() }).await;
        assert_eq!(none, list![]);
        let made = office.boss_kw("repo.request", list!["shelf"], map! { "force" => true }).await;
        let request = made.get("request").get("id").clone();
        let rows = office
            .boss_kw("repo.queryQueue", list![list![], list!["tag_name", "id"]], map! { "opts" => opts })
            .await;
        assert_eq!(rows, list![list![request, "shelf"]], "asked after task {task:?}");
    }

    async fn options_are_read_as_python_reads_them(db: Db) {
        let office = Office::new(db, |_| {}).await;
        for (options, count) in [(list![], 2), (map! { "limit" => 1.5 }.into(), 1), (Value::Int(0), 2)] {
            let found = office.boss_kw("listUsers", list![], map! { "queryOpts" => options }).await;
            assert_eq!(found.as_array().unwrap().len(), count);
        }
        let opts = map! { "queryOpts" => map! { "countOnly" => true }, "strict" => true };
        assert_eq!(office.fault(Who::Boss, "listArchives", list![], opts).await, "1000: No archives found.");
        for method in ["getMavenBuild", "getWinBuild", "getImageBuild"] {
            assert_eq!(office.boss(method, list![0, true]).await, Value::Nil, "{method}");
        }
        assert_eq!(office.boss("getPackageID", list![Value::Nil]).await, Value::Nil);
        for (method, args, text) in [
            ("getPackageID", list![Value::Nil, true], "1000: No such package name: None"),
            ("getBuildrootListing", list![Value::Nil], "1000: buildroot not specified"),
            ("getTaskRequest", list![Value::Nil], "1019: Invalid type, expected type <class 'int'>"),
            ("freeTask", list![999], "1000: query returned no rows"),
            ("downloadTaskOutput", list![1, "x", 0, -1, "zzz"], "1000: No such volume: zzz"),
            ("downloadTaskOutput", list![1, "x", 0, -1, 0], "1000: no file \"x\" output by task 1"),
            ("listTasks", list![map! { "method" => list!["build"] }],
                "1019: Invalid type for value '['build']': <class 'list'>, expected type <class 'str'>"),
        ] {
            assert_eq!(office.fault(Who::Boss, method, args, Map::new()).await, text);
        }
    }

    async fn arguments_are_looked_at_in_the_order_of_a_koji_hub(db: Db) {
        let office = Office::new(db, |_| {}).await;
        office.boss("createTag", list!["shelf"]).await;
        let beyond = 3_000_000_000_i64;
        for kw in [map! { "event" => beyond }, map! { "min_event" => beyond }, map! { "state" => beyond }] {
            assert_eq!(office.boss_kw("getRepo", list!["shelf"], kw).await, Value::Nil);
        }
        assert_eq!(office.boss("getEvent", list![beyond, false]).await, Value::Nil);
        let none = "1019: Invalid type, expected type <class 'bool'>";
        for (method, args, text) in [
            ("getEvent", list![1, Value::Nil], none),
            ("getLastEvent", list![Value::Nil, Value::Nil], none),
            ("getRepo", list!["shelf", Value::Nil, Value::Nil, Value::Nil], none),
            ("getRepo", list!["none", "x"], "1000: No such entry in table tag: none"),
            ("getRepo", list!["shelf", "x"], "1019: Invalid type for value 'x': <class 'str'>, expected type <class 'int'>"),
            ("listPackages", list!["none", Value::Nil, Value::Nil, Value::Nil, false, false, "x"],
                "1000: No such entry in table tag: none"),
            ("listPackages", list!["shelf", Value::Nil, Value::Nil, Value::Nil, false, false, "x"], "1000: Invalid event: 'x'"),
            ("getRPMHeaders", list![999, list![], list![], list![], true], "1000: No such rpm: {'id': 999}"),
        ] {
            assert_eq!(office.fault(Who::Boss, method, args, Map::new()).await, text, "{method}");
        }
        assert_eq!(office.boss("getRPMHeaders", list!["none-1-1.src", "x", 7, 8]).await, Map::new().into());
    }

    async fn who_names_no_external_repository_means_the_only_one(db: Db) {
        let office = Office::new(db, |_| {}).await;
        let none = list![Value::Nil];
        assert_eq!(office.boss("getExternalRepo", none.clone()).await, Value::Nil);
        let said = office.fault(Who::Boss, "getExternalRepo", list![Value::Nil, true], Map::new()).await;
        assert_eq!(said, "1000: No such repo: None");
        let made = office.boss("createExternalRepo", list!["far", "http://far/"]).await;
        assert_eq!(office.boss("getExternalRepo", none.clone()).await, made);
        office.boss("createExternalRepo", list!["near", "http://near/"]).await;
        let said = office.fault(Who::Boss, "getExternalRepo", none, Map::new()).await;
        assert_eq!(said, "1000: More than one repo in the result.");
    }

    async fn listings_of_a_tag_take_names_only(db: Db) {
        let office = Office::new(db, |_| {}).await;
        office.boss("createTag", list!["shelf"]).await;
        let text = "1019: Invalid type for value '2': <class 'int'>, expected type <class 'str'>";
        for (method, key) in [
            ("listTagged", "package"),
            ("listTagged", "owner"),
            ("listTagged", "prefix"),
            ("listTaggedRPMS", "owner"),
            ("listTaggedArchives", "package"),
            ("getLatestBuilds", "package"),
            ("getLatestRPMS", "package"),
        ] {
            let said = office.fault(Who::Boss, method, list!["shelf"], map! { key => 2 }).await;
            assert_eq!(said, text, "{method} {key}");
            office.boss_kw(method, list!["shelf"], map! { key => list![] }).await;
        }
        assert_eq!(office.fault(Who::Boss, "untaggedBuilds", list![2], Map::new()).await, text);
    }

    async fn an_uploaded_file_that_is_not_there_is_no_error(db: Db) {
        let top = tempfile::tempdir().unwrap();
        let topdir = top.path().to_owned();
        let office = Office::new(db, |config| config.topdir = topdir).await;
        for kw in [map! { "verify" => "bogus" }, map! { "verify" => "md5", "tail" => -1 }] {
            assert_eq!(office.boss_kw("checkUpload", list!["x", "y"], kw).await, Value::Nil);
        }
        let file = list!["x", "y", 1, Value::Nil, 0, "eA=="];
        assert_eq!(office.boss("uploadFile", file.clone()).await, Value::Bool(true));
        let path = top.path().join("work/x/y");
        let full = path.display();
        assert_eq!(office.refusal("uploadFile", file.clone()).await, format!("1000: file already exists: {full}"));
        let kw = map! { "verify" => "md5", "tail" => -1 };
        assert_eq!(office.fault(Who::Boss, "checkUpload", list!["x", "y"], kw).await, "1000: Invalid tail value: -1");
        // what was imported is a link
        std::fs::rename(&path, top.path().join("moved")).unwrap();
        std::os::unix::fs::symlink("../../moved", &path).unwrap();
        assert_eq!(office.refusal("uploadFile", file).await, format!("1000: destination not a file: {full}"));
    }
}
