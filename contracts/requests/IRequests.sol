// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice A contract that asked for work and wants to be called with the result.
interface IRequester {
    /// @notice The result of a request of this contract. Only `Requests` may call: check `msg.sender`.
    /// @dev A revert changes nothing about the request: the result is final and the worker is paid.
    /// @param id the id that `Requests.request` returned.
    /// @param result as the app signed it.
    function onResult(bytes32 id, bytes calldata result) external;
}

/// @notice Paid work by attested instances: anyone asks an app, one live instance is chosen, its signed result is verified, the fee
/// is split. Times are unix seconds, amounts wei.
/// @dev Workers are keys of `Instances`, each with an operator that is paid. Workers of an app take turns (round robin): all live
/// instances run approved releases of the same app, so there is no better one to choose, and no stake to weigh. A worker that is
/// not live when its turn comes is removed from the list, so nobody walks over dead ones twice.
/// A worker that can or will not answer declines in time, without any cost but gas. One that does neither is late: a fault. Two
/// different results for one request are a contradiction: the other fault. There is no third.
/// Nothing is sent without being asked for: fees, refunds and shares are withdrawn (pull payments).
/// There is no owner and no upgrade: the contract holds money of people who never chose a DAO. Its rules are constants; the DAO's
/// share is fixed when it is deployed. A fault in this contract needs a new one; requests end within 30 days.
interface IRequests {
    /// @notice Where a request is. Append, never reorder.
    enum State {
        /// @notice There is no such request.
        Unknown,
        /// @notice No worker was free. Anyone can call `assign`.
        Waiting,
        /// @notice A worker has the time to answer.
        Assigned,
        /// @notice The worker's time is over. It may still answer until another one is assigned. Anyone can call `assign`.
        Late,
        /// @notice Nobody can be assigned any more, or the deadline has passed. Anyone can call `refund`.
        Refundable,
        /// @notice It was answered and paid.
        Fulfilled,
        /// @notice The fee was returned.
        Refunded
    }

    /// @notice A fault for which a bond can be slashed.
    enum Fault {
        /// @notice The worker neither answered nor declined in its time, and its key did not lose an approval.
        Late,
        /// @notice The worker signed two different results for one request.
        Contradiction
    }

    /// @notice Terms of an app, set by its owner.
    struct Terms {
        /// @notice Receives the owner's share; not zero.
        address payee;
        /// @notice Least fee of a request.
        uint96 minFee;
        /// @notice The owner's share of the fee, in hundredths of a percent; at most 5,000.
        uint16 ownerShare;
        /// @notice How long each worker has, seconds: from a minute to a day. Zero: the app takes no requests.
        uint24 answerTime;
    }

    /// @notice A worker. It keeps app, operator and host forever.
    struct Worker {
        /// @notice The app for which it works; zero = unknown.
        address app;
        /// @notice Place in the list of its app, from 1; zero = not in the list.
        uint32 place;
        /// @notice The most requests that it takes at the same time.
        uint16 capacity;
        /// @notice Requests that it has now.
        uint16 open;
        /// @notice Late answers for which its bond was not slashed yet.
        uint16 lates;
        /// @notice Whether a contradiction was proven, for which its bond was not slashed yet.
        bool owesContradiction;
        /// @notice Whether a contradiction was ever proven. It then never works again.
        bool isExcluded;
        /// @notice Receives the operator's part, and holds the bond.
        address operator;
        /// @notice The host whose bond counts (`HostBonds`). By quote: the host of the proof.
        bytes32 deviceId;
    }

    /// @notice A request.
    struct Request {
        /// @notice Who asked. Gets the result, and the fee if there is none.
        address requester;
        /// @notice What was paid for it.
        uint96 fee;
        /// @notice The app that was asked.
        address app;
        /// @notice Last second in which a result counts.
        uint40 deadline;
        /// @notice Last second in which the present worker is on time.
        uint40 due;
        /// @notice The owner's share when it was asked, in hundredths of a percent.
        uint16 ownerShare;
        /// @notice The present worker; zero = none.
        address worker;
        /// @notice Gas for the requester's `onResult`; zero = it is not called.
        uint32 callbackGas;
        /// @notice How long each worker has, seconds.
        uint24 answerTime;
        /// @notice How often a worker was assigned.
        uint8 assignments;
        /// @notice `Waiting` while it is open, then `Fulfilled` or `Refunded`. `stateOf` tells more.
        State settled;
    }

    /// @notice The owner of an app set its terms. Requests that exist keep the earlier ones, except for the payee.
    event TermsSet(address indexed app, Terms terms);
    /// @notice A key works for its app.
    event WorkerJoined(
        address indexed app,
        address indexed operator,
        address indexed key,
        bytes32 deviceId,
        uint16 capacity
    );
    /// @notice A key was taken from the list: its operator left, it was not live when its turn came, or it was excluded.
    event WorkerLeft(address indexed app, address indexed operator, address indexed key);
    /// @notice Somebody asked an app.
    /// @param number counts requests, from 1. With the other parts of `idOf` it makes the id.
    /// @param inputDigest keccak256 of the input as the worker gets it: encrypted, or public.
    /// @param inputReference where the input is; `src/chain/registries/requests.ts` has the forms.
    /// @param record the request as it was stored, before a worker was chosen.
    event Requested(
        bytes32 indexed id,
        address indexed app,
        address indexed requester,
        uint256 number,
        bytes32 inputDigest,
        bytes inputReference,
        Request record
    );
    /// @notice A worker was chosen.
    /// @param due last second in which it is on time.
    event Assigned(bytes32 indexed id, address indexed key, address indexed operator, uint40 due);
    /// @notice A worker declined in time. This is no fault.
    event Declined(bytes32 indexed id, address indexed key, address indexed operator);
    /// @notice A worker neither answered nor declined in its time, and lost the request.
    /// @param isFault whether its bond can be slashed: not if its key lost an approval.
    event MissedDue(bytes32 indexed id, address indexed key, address indexed operator, bool isFault);
    /// @notice A worker answered and was paid.
    /// @param isOnTime false: after its time, before anybody else was assigned.
    event Fulfilled(
        bytes32 indexed id,
        address indexed key,
        address indexed operator,
        bytes result,
        bool isOnTime,
        uint96 operatorPart,
        uint96 ownerPart,
        uint96 daoPart
    );
    /// @notice The requester's `onResult` failed. The result is final all the same.
    event CallbackFailed(bytes32 indexed id, address indexed requester);
    /// @notice The fee was returned to the requester's balance.
    event Refunded(bytes32 indexed id, address indexed requester, uint96 fee);
    /// @notice A worker signed two results for one request.
    event ContradictionProven(bytes32 indexed id, address indexed key, address indexed operator);
    /// @notice The bond of a worker was slashed for one fault.
    event WorkerSlashed(address indexed key, address indexed operator, Fault fault, uint96 amount);
    /// @notice A balance was paid out.
    event Withdrawn(address indexed account, address to, uint256 amount);

    /// @notice The shares of the constructor are too large, or an address is missing.
    error RequestRulesInvalid();
    /// @notice The terms are out of bounds.
    error TermsInvalid();
    /// @notice Only the owner of the app may set its terms.
    error TermsUnauthorized(address account, address owner);
    /// @notice The app takes no requests: its owner set no terms.
    error TermsMissing(address app);
    /// @notice The fee is below the app's least fee, or too large to store.
    error FeeInvalid(uint256 fee, uint256 minimum);
    /// @notice The deadline leaves no worker its whole time, or is too far away.
    error DeadlineInvalid(uint256 deadline, uint256 earliest, uint256 latest);
    /// @notice Input reference or result are too long.
    error TooLong(uint256 length, uint256 maximum);
    /// @notice More gas than a callback may have.
    error CallbackGasInvalid(uint256 gasLimit, uint256 maximum);
    /// @notice The state does not allow the call.
    error RequestStateInvalid(bytes32 id, State state);
    /// @notice The result is not signed by the assigned worker, or this key does not speak for the app now.
    error ResultUnauthorized(bytes32 id, address worker);
    /// @notice Only the worker's operator, or the worker itself, may do this.
    error WorkerUnauthorized(address account, address key);
    /// @notice The key is no live instance of the app, works for another app, host or operator, has no bond, or is excluded.
    error WorkerUnfit(address key);
    /// @notice The key did not sign that it works for this operator with this host.
    error WorkerNotSigned(address found, address key);
    /// @notice The two results are equal, or not both signed by a worker.
    error NoContradiction(bytes32 id, address key);
    /// @notice The worker has no fault that was not slashed yet, or there are no bonds.
    error NothingToSlash(address key);
    /// @notice The caller gave less gas than the callback may use.
    error GasTooLow(uint256 found, uint256 needed);
    /// @notice The account has no balance.
    error NothingToWithdraw(address account);
    /// @notice The receiver refused the payment.
    error PaymentFailed(address to);

    /* REQUESTERS */

    /// @notice Asks an app. The fee is what is sent along. Emits `Requested`, and `Assigned` if a worker is free.
    /// @dev Reverts with `TermsMissing`, `FeeInvalid`, `DeadlineInvalid`, `TooLong` and `CallbackGasInvalid`.
    /// The callback always goes to the caller: so nobody can make this contract call another one.
    /// @param app the app.
    /// @param inputDigest keccak256 of the input.
    /// @param inputReference where the input is, at most 4,096 bytes.
    /// @param deadline last second in which a result counts: at least the app's answer time from now, at most 30 days.
    /// @param callbackGas gas for the caller's `onResult`, at most 1,000,000; zero = it is not called.
    /// @return id the request.
    function request(
        address app,
        bytes32 inputDigest,
        bytes calldata inputReference,
        uint40 deadline,
        uint32 callbackGas
    ) external payable returns (bytes32 id);

    /// @notice Chooses a worker for a request that waits, or whose worker is late. Anyone. Emits `MissedDue` and `Assigned`.
    /// @dev Looks at four workers at most. If none of them is free, the request waits and the next call looks further.
    function assign(bytes32 id) external;

    /// @notice Returns the fee to the requester's balance. Anyone; only in the state `Refundable`. Emits `Refunded`.
    function refund(bytes32 id) external;

    /// @notice Records that the last worker of a refunded request missed its time. Anyone, once. Emits `MissedDue`.
    function recordMissed(bytes32 id) external;

    /* WORKERS */

    /// @notice Puts a key into the list of its app, or changes its capacity. The caller is its operator. Emits `WorkerJoined`.
    /// @dev Reverts with `WorkerUnfit` and `WorkerNotSigned`.
    /// @param key a live instance of `app`.
    /// @param deviceId the host whose bond counts. By quote: the host of the proof.
    /// @param capacity the most requests at the same time, from 1.
    /// @param signature the key's signature over `workerDigest`, 65 bytes.
    function join(address app, address key, bytes32 deviceId, uint16 capacity, bytes calldata signature) external;

    /// @notice Takes a key from the list. Only its operator or the key itself. Emits `WorkerLeft`.
    /// @dev The requests that it has are still due.
    function retire(address key) external;

    /// @notice Brings the result of a request. Anyone; the signature decides. Pays, and calls the requester. Emits `Fulfilled`.
    /// @dev Reverts with `ResultUnauthorized` unless the present worker signed `resultDigest` and speaks for the app now.
    /// Reverts with `GasTooLow` if the requester's callback could not have its gas.
    /// @param result at most 4,096 bytes.
    /// @param signature 65 bytes; v is 27 or 28.
    function fulfil(bytes32 id, bytes calldata result, bytes calldata signature) external;

    /// @notice Gives a request back in time. Only the present worker's operator, or the worker. Emits `Declined`, and `Assigned` if
    /// another worker is free.
    function decline(bytes32 id) external;

    /* FAULTS */

    /// @notice Shows that a worker signed two results for one request. Anyone. It never works again. Emits `ContradictionProven`.
    /// @param first keccak256 of one result.
    /// @param second keccak256 of another one.
    function proveContradiction(
        bytes32 id,
        address key,
        bytes32 first,
        bytes calldata firstSignature,
        bytes32 second,
        bytes calldata secondSignature
    ) external;

    /// @notice Slashes a worker's bond for one fault: the whole least bond for a contradiction, a hundredth of it for a late answer.
    /// Anyone; the DAO receives it. Emits `WorkerSlashed`. Reverts with `NothingToSlash`, and as `HostBonds` does.
    function slash(address key) external;

    /* OWNERS OF APPS */

    /// @notice Sets the terms of an app. Only its owner. Emits `TermsSet`. Reverts with `TermsInvalid` and `TermsUnauthorized`.
    function setTerms(address app, Terms calldata terms) external;

    /* MONEY */

    /// @notice Pays an account's whole balance to it. Anyone. Emits `Withdrawn`.
    function withdraw(address account) external;

    /// @notice Pays the caller's whole balance to another account. Emits `Withdrawn`.
    function withdrawTo(address to) external;

    /// @notice What an account can withdraw.
    function balanceOf(address account) external view returns (uint256);

    /* VIEWS */

    /// @notice A request as it is stored; all zero if it is unknown.
    function requestOf(bytes32 id) external view returns (Request memory);

    /// @notice Where a request is now.
    function stateOf(bytes32 id) external view returns (State);

    /// @notice A worker as it is stored; all zero if it is unknown.
    function workerOf(address key) external view returns (Worker memory);

    /// @notice The terms of an app.
    function termsOf(address app) external view returns (Terms memory);

    /// @notice How many workers an app has in its list.
    function workerCount(address app) external view returns (uint256);

    /// @notice A worker in the list of an app, from 0.
    function workerAt(address app, uint256 index) external view returns (address);

    /// @notice The id of a request. It names everything that the worker reads, so a signed result counts for no other input, also
    /// after a reorg.
    function idOf(
        uint256 number,
        address requester,
        address app,
        bytes32 inputDigest,
        uint40 deadline
    ) external view returns (bytes32);

    /// @notice How many requests there were.
    function requestCount() external view returns (uint256);

    /// @notice What a worker signs: chain, this contract, request and result.
    /// @param id names requester, app, input digest and deadline.
    /// @param resultHash keccak256 of the result.
    function resultDigest(bytes32 id, bytes32 resultHash) external view returns (bytes32);

    /// @notice What a key signs to work: chain, this contract, app, operator and host.
    function workerDigest(address app, address operator, bytes32 deviceId) external view returns (bytes32);
}
