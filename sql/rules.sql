candidates tagrec_ids DEFAULT 'all', candidates_from regclass DEFAULT '-',
		exclude tagrec_ids DEFAULT '{}', exclude_from regclass DEFAULT '-',
		boost tagrec_ids DEFAULT '{}', boost_factor float8[] DEFAULT '{1}', boost_addend float8[] DEFAULT '{0}',
		boost_from regclass DEFAULT '-',
		diversity float8 DEFAULT 0, diversity_pool int DEFAULT 100,
		group_from regclass DEFAULT '-', group_by name DEFAULT NULL, max_per_group int DEFAULT NULL,
		after bigint DEFAULT 0, version int DEFAULT NULL
