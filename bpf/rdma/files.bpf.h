/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From an open /dev/infiniband/uverbsN to the objects that were made through it: a list that the kernel keeps with
 * the file. It is walked without its lock, by probe reads; an entry that is freed meanwhile is excluded by asking the
 * object whose it is, and a list that runs in circles ends at a bound.
 */
#ifndef XCTL_RDMA_FILES_BPF_H
#define XCTL_RDMA_FILES_BPF_H

#include "memory.bpf.h"
#include "qps.bpf.h"

#define MAX_OBJECTS (1 << 17)
#define S_IFMT 0170000
#define S_IFCHR 0020000
/* Where it is built into the kernel its files belong to no module. */
#define IB_UVERBS_MAJOR 231

struct object_walk {
	struct list_head *head;
	struct list_head *at;
};

static long visit_object(__u32 index, struct object_walk *walk)
{
	/* Not walk->at in BPF_CORE_READ(): that would look for this struct in the kernel, too. */
	struct list_head *at = walk->at;
	struct ib_uobject *object;
	__u32 id;

	if (!at || at == walk->head)
		return 1;
	object = (void *)at - bpf_core_field_offset(struct ib_uobject, list);
	walk->at = BPF_CORE_READ(at, next);
	id = BPF_CORE_READ(object, uapi_object, id);
	if (id == UVERBS_OBJECT_QP) {
		struct ib_qp *qp = BPF_CORE_READ(object, object);

		if (qp && BPF_CORE_READ(qp, uobject) == object)
			qp_seen(qp);
	} else if (id == UVERBS_OBJECT_MR) {
		struct ib_mr *mr = BPF_CORE_READ(object, object);

		if (mr && BPF_CORE_READ(mr, uobject) == object)
			region_added(mr);
	}
	return 0;
}

static __always_inline bool is_uverbs(struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct module *owner;
	char name[16] = {};

	if ((BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFCHR)
		return false;
	owner = BPF_CORE_READ(file, f_op, owner);
	if (!owner)
		return BPF_CORE_READ(inode, i_rdev) >> 20 == IB_UVERBS_MAJOR;
	bpf_probe_read_kernel_str(name, sizeof(name), &owner->name);
	return *(__u64 *)name == *(const __u64 *)"ib_uverb" && name[8] == 's' && !name[9];
}

static __always_inline void visit_file(struct file *file)
{
	struct ib_uverbs_file *ufile;
	struct object_walk walk = {};
	struct list_head *head;

	if (!is_uverbs(file))
		return;
	ufile = BPF_CORE_READ(file, private_data);
	if (!ufile)
		return;
	head = (void *)ufile + bpf_core_field_offset(struct ib_uverbs_file, uobjects);
	walk.head = head;
	walk.at = BPF_CORE_READ(head, next);
	bpf_loop(MAX_OBJECTS, visit_object, &walk, 0);
}

#endif
