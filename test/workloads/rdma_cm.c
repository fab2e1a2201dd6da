// Two sides by the RDMA connection manager. addr=: the own address.
//   role=listen   prints `kind=listen port=`; accepts one, or with reject=1 refuses it
//   role=connect  to=, port=: connects, and after SIGUSR1 disconnects
// Says `kind=event event=ESTABLISHED status=0` for each event, as the kernel names it, `kind=qp qpn=`, `kind=all` when connected.
#include "rdma.h"
#include <rdma/rdma_cma.h>

static struct rdma_event_channel *events;

static void on_signal(int signal) { (void)signal; }

// The next event, which must be the wanted one unless that is -1. NULL: a signal came first.
static struct rdma_cm_event *next(int wanted)
{
	struct rdma_cm_event *event;
	if (rdma_get_cm_event(events, &event) != 0) {
		if (errno == EINTR) return NULL;
		fail("rdma_get_cm_event");
	}
	const char *name = rdma_event_str(event->event);
	ready(getpid(), self_tid(), "kind=event event=%s status=%d", name + strlen("RDMA_CM_EVENT_"), event->status);
	if (wanted >= 0 && (int)event->event != wanted) {
		errno = EPROTO;
		fail("%s instead of %s", name, rdma_event_str(wanted));
	}
	return event;
}

static void await(int wanted) { rdma_ack_cm_event(NEED(next(wanted))); }

static void make_cm_qp(struct rdma_cm_id *id)
{
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_RC,
		.cap = {.max_send_wr = 4, .max_recv_wr = 4, .max_send_sge = 1, .max_recv_sge = 1},
	};
	MUST(rdma_create_qp(id, NULL, &init));
	ready(getpid(), self_tid(), "kind=qp qpn=%u", id->qp->qp_num);
}

static struct rdma_cm_id *listen_and_accept(struct rdma_cm_id *id, int argc, char **argv)
{
	union address own;
	address_of(arg_str(argc, argv, "addr", ""), arg_num(argc, argv, "port", 0), &own);
	MUST(rdma_bind_addr(id, &own.any));
	MUST(rdma_listen(id, 1));
	ready(getpid(), self_tid(), "kind=listen port=%d", ntohs(rdma_get_src_port(id)));
	struct rdma_cm_event *asked = NEED(next(RDMA_CM_EVENT_CONNECT_REQUEST));
	struct rdma_cm_id *connection = asked->id;
	if (arg_num(argc, argv, "reject", 0)) {
		MUST(rdma_reject(connection, NULL, 0));
		rdma_ack_cm_event(asked);
		return NULL;
	}
	make_cm_qp(connection);
	struct rdma_conn_param parameters = {.responder_resources = 1, .initiator_depth = 1};
	MUST(rdma_accept(connection, &parameters));
	rdma_ack_cm_event(asked);
	await(RDMA_CM_EVENT_ESTABLISHED);
	return connection;
}

static struct rdma_cm_id *connect_from(struct rdma_cm_id *id, int argc, char **argv)
{
	union address own, remote;
	address_of(arg_str(argc, argv, "addr", ""), 0, &own);
	address_of(arg_str(argc, argv, "to", ""), arg_num(argc, argv, "port", 0), &remote);
	MUST(rdma_resolve_addr(id, &own.any, &remote.any, 2000));
	await(RDMA_CM_EVENT_ADDR_RESOLVED);
	MUST(rdma_resolve_route(id, 2000));
	await(RDMA_CM_EVENT_ROUTE_RESOLVED);
	make_cm_qp(id);
	struct rdma_conn_param parameters = {
		.responder_resources = 1, .initiator_depth = 1, .retry_count = 3, .rnr_retry_count = 3};
	MUST(rdma_connect(id, &parameters));
	struct rdma_cm_event *event = NEED(next(-1));
	int established = event->event == RDMA_CM_EVENT_ESTABLISHED;
	rdma_ack_cm_event(event);
	return established ? id : NULL;
}

int main(int argc, char **argv)
{
	die_with_parent();
	struct sigaction action = {.sa_handler = on_signal};
	MUST(sigaction(SIGUSR1, &action, NULL));
	events = NEED(rdma_create_event_channel());
	struct rdma_cm_id *id;
	MUST(rdma_create_id(events, &id, NULL, RDMA_PS_TCP));
	int listens = strcmp(arg_str(argc, argv, "role", "listen"), "listen") == 0;
	struct rdma_cm_id *connected = listens ? listen_and_accept(id, argc, argv) : connect_from(id, argc, argv);
	ready(getpid(), self_tid(), "kind=all connected=%d", connected != NULL);
	for (;;) {
		struct rdma_cm_event *event = next(-1);
		if (event != NULL) rdma_ack_cm_event(event);
		else if (connected != NULL) rdma_disconnect(connected);
	}
}
