-- Every row that the service writes for a boleto which the bank takes at once and whose delivery is held: ten row writes
-- in the same two transactions and in the same order, but one statement for each row and one boleto at a time.
-- It makes no look-ups and locks no range of numbers, and its clock is the number, so it does a little less than we do.

begin;

insert into same_rows.request_key (tenant_id, method, request_id, body_hash, resource_id, created_at_us)
select 'default', 'CreateBoleto', 'bench-' || n,
    '\x010000000000000000000000000000000000000000000000000000000000000000',
    lpad(to_hex(n), 32, '0')::uuid, n
from nextval('same_rows.number') as n
on conflict do nothing
returning created_at_us as number, resource_id as id, 'order ' || created_at_us as reference,
    lpad(created_at_us::text, 17, '0') as nosso_numero, lpad(created_at_us::text, 44, '0') as barcode,
    lpad(to_hex(2 * created_at_us), 32, '0')::uuid as registration,
    lpad(to_hex(2 * created_at_us + 1), 32, '0')::uuid as delivery,
    'register:' || resource_id as register_key,
    'deliver:' || '00000000-0000-0000-0000-000000000002' || ':' || resource_id as deliver_key \gset

insert into same_rows.boleto (tenant_id, id, bank_account_id, status, version, amount_cents, due_date, nosso_numero,
    barcode, payer, reference_id, endpoint_id, notify, traceparent, created_at_us, updated_at_us)
values ('default', :id, '00000000-0000-0000-0000-000000000001', 'issued', 1, 12590, '2031-05-20', :nosso_numero,
    :barcode,
    '{"name":"Maria Exemplo","tax_id":"52998224725","address":{"street":"Rua das Flores","number":"308","district":"Centro","city":"Recife","state":"PE","postal_code":"50030230"}}',
    :reference, '00000000-0000-0000-0000-000000000002', 'owner',
    '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', :number, :number);

insert into same_rows.boleto_event (id, tenant_id, boleto_id, version, event_type, status, reference_id, occurred_at_us)
values (:id, 'default', :id, 1, 'boleto.issued', 'issued', :reference, :number);

insert into same_rows.work (id, tenant_id, kind, queue, priority, run_at_us, state, attempt, attempts_max, runner_id, fence,
    unique_key, subject_id, payload, sent_at_us, traceparent, created_at_us)
values (:registration, 'default', 'boleto.register',
    'registration/banco_do_brasil/00000000-0000-0000-0000-000000000001', 0, :number, 'running', 1, 40,
    '00000000-0000-0000-0000-000000000003', 1, :register_key, :id, '{}', :number,
    '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', :number)
on conflict (unique_key) where unique_key is not null do update set priority = work.priority where false;

end;

begin;

with ended as (
    delete from same_rows.work where id = :registration and runner_id = '00000000-0000-0000-0000-000000000003' and fence = 1
    returning *
)
insert into same_rows.work_archive (id, tenant_id, kind, queue, state, attempt, attempts_max, runner_id, fence, unique_key,
    subject_id, payload, traceparent, last_error, created_at_us, ended_at_us)
select id, tenant_id, kind, queue, 'completed', attempt, attempts_max, runner_id, fence, unique_key, subject_id, payload,
    traceparent, last_error, created_at_us, created_at_us from ended;

update same_rows.boleto set status = 'registered', version = version + 1, open_status = null, updated_at_us = :number
where tenant_id = 'default' and id = :id and status in ('issued', 'pending_registration');

insert into same_rows.boleto_event (id, tenant_id, boleto_id, version, event_type, status, reference_id, occurred_at_us,
    work_id, fence)
values (:id, 'default', :id, 2, 'boleto.registered', 'registered', :reference, :number, :registration, 1);

insert into same_rows.work (id, tenant_id, kind, queue, priority, run_at_us, state, attempt, attempts_max, fence, unique_key,
    subject_id, payload, traceparent, created_at_us)
values (:delivery, 'default', 'notification.deliver', 'delivery/sqs/00000000-0000-0000-0000-000000000002', 0, :number,
    'available', 0, 30, 0, :deliver_key, :id, '{"endpoint_id":"00000000-0000-0000-0000-000000000002"}',
    '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', :number)
on conflict (unique_key) where unique_key is not null do update set priority = work.priority where false;

insert into same_rows.delivery (endpoint_id, subject_id, tenant_id, wanted_version, sent_version, state, attempts,
    updated_at_us)
values ('00000000-0000-0000-0000-000000000002', :id, 'default', 2, 0, 'pending', 0, :number)
on conflict (endpoint_id, subject_id) do update set wanted_version = excluded.wanted_version, state = 'pending',
    updated_at_us = excluded.updated_at_us;

end;
